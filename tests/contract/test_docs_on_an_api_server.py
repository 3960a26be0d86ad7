"""The objects that the pages have people apply are taken by a real API server."""

from __future__ import annotations

import yaml
from reading.blocks import LOCAL_PAGES, blocks
from testcluster.control_plane import ControlPlane
from testcluster.paths import MANIFESTS

from sluiceway.api.validate import MODELS


def test_every_taskqueue_and_workerclass_of_the_pages_is_taken(control_plane: ControlPlane) -> None:
    kubectl = control_plane.kubectl
    kubectl.run("apply", "--filename", MANIFESTS / "crds")
    kubectl.run("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
    kubectl.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
    objects = [
        one
        for block in blocks("yaml")
        if block.page not in LOCAL_PAGES
        for one in yaml.safe_load_all(block.text)
        if isinstance(one, dict) and one.get("kind") in MODELS
    ]

    answer = kubectl.run(
        "apply", "--dry-run=server", "--filename=-", stdin=yaml.safe_dump_all(objects)
    )

    assert objects
    assert answer.count("(server dry run)") == len(objects)
