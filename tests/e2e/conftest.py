"""The operator as it ships, on real nodes: installed once, then scene after scene.

Each scene has a namespace of its own under Kubernetes' profile ``restricted``, with a
broker and a ledger in it. When one fails, what the operator and the namespace have to
say is added to the report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from stage import images as builds
from stage.counting import Tasks
from stage.operator import Operator
from stage.scene import Scene
from stage.servers import served
from stage.under_work import UnderWork
from testcluster.engine import Engine
from testcluster.fixtures import Namespace
from testcluster.kubectl import Kubectl
from testcluster.provider import Cluster, ExistingCluster

# The first run on a machine makes a base image, from Debian's packages.
SETUP_HANGS_S = 1800
SOAK_HANGS_S = 7200
STATUS = "{range .items[*]}{.metadata.name} {.status}{'\\n'}{end}"
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            hangs_s = SOAK_HANGS_S if item.config.option.soak else SETUP_HANGS_S
            item.add_marker(pytest.mark.timeout(hangs_s))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    report = yield
    operator = getattr(item, "funcargs", {}).get("operator")
    if report.when == "call" and report.failed and isinstance(operator, Operator):
        report.sections.append(("the operator", operator.logs()))
        namespace = item.funcargs.get("cluster_namespace")  # type: ignore[attr-defined]
        if namespace is not None:
            report.sections.append(("the namespace", _told(namespace.kubectl)))
    return report


def _told(kubectl: Kubectl) -> str:
    said = [
        kubectl.try_run("get", "taskqueues,deployments,pods", "--output=wide").stdout,
        kubectl.try_run("get", "taskqueues", f"--output=jsonpath={STATUS}").stdout,
        kubectl.try_run("get", "events", "--sort-by=.lastTimestamp").stdout[-6000:],
    ]
    return "\n".join(said)


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """How often a scene does what may go wrong."""

    scale_downs: int
    rollouts: int
    kills: int
    away_s: float
    """Seconds without a broker: several times the cooldown, the window and the ticks."""
    frozen_s: float
    """Seconds for which a leader is frozen, at least: until another one leads."""
    api_away_s: float
    """Seconds without an API server."""
    scaling_s: float
    """Seconds of scaling up and down before the manifests are compared."""


_FEW = Rounds(
    scale_downs=3,
    rollouts=2,
    kills=1,
    away_s=12.0,
    frozen_s=0.0,
    api_away_s=5.0,
    scaling_s=15.0,
)


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> Rounds:
    """A few in the usual run, many with --soak; so many as --times says of what counts."""
    if times := request.config.option.times:
        return replace(_FEW, scale_downs=times, rollouts=times // 5, kills=times)
    if request.config.option.soak:
        return Rounds(
            scale_downs=50,
            rollouts=10,
            kills=20,
            away_s=60.0,
            frozen_s=40.0,
            api_away_s=60.0,
            scaling_s=600.0,
        )
    return _FEW


@pytest.fixture(scope="session")
def images(
    request: pytest.FixtureRequest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """All images, known to the nodes; a cluster of the user's own is taken to have them."""
    if isinstance(cluster, ExistingCluster):
        return
    engine: Engine = request.getfixturevalue("image_engine")
    builds.build_all(engine)
    builds.load_all(engine, cluster, tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="session")
def operator(images: None, cluster: Cluster) -> Iterator[Operator]:
    """The operator, installed from manifests/base with the rights that ship, and ready."""
    installed = Operator(cluster.kubectl)
    with installed.for_a_while() if isinstance(cluster, ExistingCluster) else nullcontext():
        installed.install()
        yield installed


@pytest.fixture
def restricted(operator: Operator, cluster_namespace: Namespace) -> Namespace:
    """A namespace that takes nothing but pods of the profile."""
    cluster_namespace.kubectl.run(
        *("label", "namespace", cluster_namespace.name),
        "pod-security.kubernetes.io/enforce=restricted",
    )
    return cluster_namespace


@pytest.fixture
def scene(restricted: Namespace) -> Iterator[Scene]:
    """A restricted namespace with a broker and a ledger."""
    kubectl = restricted.kubectl
    with served(kubectl, "redis") as broker, served(kubectl, "ledger") as ledger:
        yield Scene(
            kubectl=kubectl,
            namespace=restricted.name,
            broker=broker,
            ledger=ledger,
            tasks=Tasks(broker, ledger),
        )


@pytest.fixture
def figures_file(request: pytest.FixtureRequest) -> Path | None:
    """Where counts are written down; None: nowhere."""
    file: Path | None = request.config.option.figures
    return file


@pytest.fixture
def stage(scene: Scene, figures_file: Path | None) -> Callable[..., UnderWork]:
    """Sets a fleet up that has work all the time."""

    def make(*, longest_s: float = 1.0, **worker: Any) -> UnderWork:
        made = UnderWork(scene, figures_file, longest_s=longest_s)
        made.start(**worker)
        return made

    return make


@pytest.fixture
def times(request: pytest.FixtureRequest) -> int:
    """How often what the scene is about happens."""
    return request.config.option.times or 1
