"""Where things lie: the sources in the checkout, the built programs outside it."""

from __future__ import annotations

import os
from pathlib import Path

BINARIES = Path(__file__).resolve().parents[1] / "binaries"
"""The Go module that builds the programs."""

REPOSITORY = BINARIES.parents[2]
MANIFESTS = REPOSITORY / "manifests"


def cache_folder() -> Path:
    """Outside the checkout, so that fresh clones and `make clean` cost no new build."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sluiceway" / "cluster"


def state_folder() -> Path:
    """What the cluster that `make cluster` started tells others about itself."""
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "sluiceway" / "cluster"
