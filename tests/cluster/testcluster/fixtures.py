"""The cluster as pytest fixtures; ``tests/conftest.py`` loads this module as a plugin.

``control_plane`` is a Kubernetes without nodes: seconds, no root. ``cluster`` has
nodes that run pods; ``--cluster`` says who provides it. Tests that use one carry
a marker of the same name, so that a run can leave them out:
``pytest -m "not control_plane and not cluster"`` needs no Kubernetes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import TypeVar

import pytest

from testcluster.build import BuildError, ensure_built
from testcluster.control_plane import ControlPlane
from testcluster.engine import Engine, engine
from testcluster.kubectl import Kubectl
from testcluster.local import ClusterNeedsError
from testcluster.provider import Cluster, Provider, provide
from testcluster.toolchain import ToolchainMissingError

T = TypeVar("T")

MARKERS = {
    "control_plane": "needs a Kubernetes control plane, which is built on first use",
    "cluster": "needs a Kubernetes with nodes (--cluster says whose)",
}


@dataclass(frozen=True, kw_only=True)
class Namespace:
    """A fresh namespace, and kubectl as the administrator within it."""

    name: str
    kubectl: Kubectl


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--cluster",
        choices=[provider.value for provider in Provider],
        help="who provides nodes (without it: local, and a skip where that cannot run)",
    )


def pytest_configure(config: pytest.Config) -> None:
    for name, meaning in MARKERS.items():
        config.addinivalue_line("markers", f"{name}: {meaning}")


# First, so that -m, which runs among these hooks too, sees the markers.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a Kubernetes, and let it begin first, for it takes longest.

    Where tests run side by side (``-n 2``), one process has all that need nodes and one all
    that need a control plane: each starts one, and the session's fixtures hold.
    """
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        for name in MARKERS.keys() & fixtures:
            item.add_marker(name)
        if fixtures & {"cluster", "image_engine"}:
            item.add_marker(pytest.mark.xdist_group("nodes"))
        elif "control_plane" in fixtures:
            item.add_marker(pytest.mark.xdist_group("control plane"))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build before the first test begins: minutes would count against its time limit."""
    needed = any(item.get_closest_marker(name) for item in session.items for name in MARKERS)
    if needed and not session.config.option.collectonly:
        capture = session.config.pluginmanager.getplugin("capturemanager")
        assert capture is not None
        try:
            with capture.global_and_fixture_disabled():
                ensure_built()
        except (BuildError, ToolchainMissingError) as error:
            without = " and ".join(f"not {name}" for name in MARKERS)
            raise pytest.UsageError(f'{error}\nTo run the rest: pytest -m "{without}"') from error


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane without nodes, shared by the session's tests."""
    with ControlPlane(ensure_built(), tmp_path_factory.mktemp("control-plane")) as running:
        yield running


@pytest.fixture
def namespace(control_plane: ControlPlane) -> Iterator[Namespace]:
    """A namespace of the control plane that no other test uses."""
    with _fresh_namespace(control_plane.kubectl) as fresh:
        yield fresh


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A cluster with the node pools `light` and `high-cpu`, shared by the session's tests."""
    chosen = request.config.option.cluster
    with _needed(provide(Provider(chosen or Provider.LOCAL)), required=chosen is not None) as here:
        yield here


@pytest.fixture(scope="session")
def image_engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """A Docker engine to build images with, shared by the session's tests."""
    with _needed(engine(), required=request.config.option.cluster is not None) as here:
        yield here


@pytest.fixture
def cluster_namespace(cluster: Cluster) -> Iterator[Namespace]:
    """A namespace of the cluster with nodes that no other test uses."""
    with _fresh_namespace(cluster.kubectl) as fresh:
        yield fresh


@contextmanager
def _needed(provided: AbstractContextManager[T], *, required: bool) -> Iterator[T]:
    """Skip the test where the machine lacks what it needs, unless the run asked for nodes."""
    with ExitStack() as stack:
        try:
            here = stack.enter_context(provided)
        except ClusterNeedsError as reason:
            if required:
                raise
            pytest.skip(str(reason))
        yield here


@contextmanager
def _fresh_namespace(kubectl: Kubectl) -> Iterator[Namespace]:
    name = f"test-{secrets.token_hex(4)}"
    kubectl.run("create", "namespace", name)
    try:
        yield Namespace(name=name, kubectl=kubectl.within(name))
    finally:
        kubectl.run("delete", "namespace", name, "--wait=false", "--ignore-not-found")
