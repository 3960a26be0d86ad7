"""Where the charts and what they must agree with lie."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "helm" / "sluiceway"
"""The operator's."""
APP = ROOT / "helm" / "celery-app"
"""An application's."""
BASE = ROOT / "manifests" / "base"
CRDS = ROOT / "manifests" / "crds"
OVERLAYS = ROOT / "manifests" / "overlays"
ARGOCD = ROOT / "manifests" / "gitops" / "argocd"
FLUX = ROOT / "manifests" / "gitops" / "flux"
