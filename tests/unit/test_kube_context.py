"""Whoever names no namespace is where kubectl says that they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluiceway.kube.client import KubeClient
from sluiceway.kube.context import usual_namespace
from sluiceway.kube.errors import KubeError


def kubeconfig(path: Path, *, current: str | None = "here", **context: str) -> Path:
    """A kubeconfig with the context ``here``."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {"cluster": "c", "user": "u", **context}}],
    }
    path.write_text(json.dumps(config | ({"current-context": current} if current else {})))
    return path


def test_the_current_context_s_namespace_is_taken(tmp_path: Path) -> None:
    assert usual_namespace(kubeconfig(tmp_path / "a", namespace="shop")) == "shop"


def test_a_context_without_one_means_default(tmp_path: Path) -> None:
    assert usual_namespace(kubeconfig(tmp_path / "a")) == "default"


def test_kubeconfig_may_name_several_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    absent, there = tmp_path / "absent", kubeconfig(tmp_path / "a", namespace="shop")
    monkeypatch.setenv("KUBECONFIG", f"{absent}:{there}")

    assert usual_namespace() == "shop"


@pytest.mark.parametrize("text", [None, "", "{", "kind: Config", "[]"])
async def test_a_kubeconfig_that_cannot_be_used_is_named_in_one_line(
    text: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "broken"
    if text is not None:
        path.write_text(text)

    with pytest.raises(KubeError, match=r"kubeconfig .*broken cannot be used: .+$"):
        usual_namespace(path)
    with pytest.raises(KubeError, match=r"kubeconfig .*broken cannot be used: .+$"):
        await KubeClient.connect(path)


def test_a_current_context_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(KubeError, match="cannot be used"):
        usual_namespace(kubeconfig(tmp_path / "a", current="elsewhere"))
