"""What `sluiceway convert` writes is taken by a real API server."""

from __future__ import annotations

import pytest
import yaml
from testcluster.control_plane import ControlPlane
from testcluster.kubectl import Kubectl
from testcluster.paths import MANIFESTS, REPOSITORY
from typer import Typer
from typer.testing import CliRunner

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.cli.convert import convert

FILES = REPOSITORY / "tests" / "data" / "convert"


@pytest.fixture(scope="module")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """kubectl where the CRDs are installed and the objects' namespace exists."""
    kubectl = control_plane.kubectl
    kubectl.run("apply", "--filename", MANIFESTS / "crds")
    kubectl.run("wait", "crd", "--all", "--for=condition=Established", "--timeout=30s")
    kubectl.apply("{apiVersion: v1, kind: Namespace, metadata: {name: shop}}")
    return kubectl


@pytest.mark.parametrize(
    "names",
    [("keda",), ("keda", "deployment"), ("sentinel",), ("hpa", "deployment")],
    ids=" ".join,
)
def test_a_converted_taskqueue_is_taken_with_every_field(
    names: tuple[str, ...], kubectl: Kubectl
) -> None:
    app = Typer()
    app.command()(convert)
    written = CliRunner().invoke(app, [str(FILES / f"{name}.yaml") for name in names]).stdout

    kubectl.run("apply", "--filename=-", stdin=written)

    (body,) = yaml.safe_load_all(written)
    namespace = body["metadata"].get("namespace", "default")
    stored = kubectl.within(namespace).get("TaskQueue", body["metadata"]["name"])
    assert TaskQueue.from_outside(stored).spec == TaskQueue.from_outside(body).spec
    kubectl.within(namespace).run("delete", "taskqueue", body["metadata"]["name"])
