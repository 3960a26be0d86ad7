"""Scale-downs and rollouts under work: each task runs once, to its end.

Counted by task id, in a server that nothing here touches. The application acknowledges
early, as Celery does by default: a task that is cut would be lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle, pairwise
from pathlib import Path

import pytest
from stage.counting import CLEAN
from stage.fleet import Fleet
from stage.operator import Operator
from stage.scene import Scene
from stage.streams import Watch, watched
from stage.until import until
from stage.verdict import figures, write_down

from tests.e2e.conftest import Rounds

OTHERWISE = "sluiceway_taskqueue_pods_removed_otherwise_total"


def drops(replicas: Watch) -> int:
    """How often a lower number was asked for."""
    asked = [int(one) for one in replicas.column(0) if one]
    return sum(1 for before, now in pairwise(asked) if now < before)


def keep_busy(scene: Scene) -> None:
    """Let some tasks wait, but not many: what waits longest is what drains are about."""
    if scene.broker.client.llen("exports") < 6:
        scene.tasks.publish("exports", 8, seconds=1.0)


def bounds() -> Iterator[dict[str, int]]:
    """Numbers of workers that the fleet is forced to, one after the other."""
    return cycle([{"minReplicas": 1, "maxReplicas": 1}, {"minReplicas": 4, "maxReplicas": 4}])


@pytest.fixture
def busy(scene: Scene) -> Fleet:
    fleet = scene.fleet("exports", scaling={"minReplicas": 4, "maxReplicas": 4})
    fleet.await_ready(4)
    return fleet


def test_scale_downs_and_rollouts_under_work_lose_nothing_cut_nothing_repeat_nothing(
    scene: Scene,
    busy: Fleet,
    operator: Operator,
    rounds: Rounds,
    figures_file: Path | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = bounds()
    with watched(scene.kubectl, "deployment", ".spec.replicas", which=busy.deployment) as replicas:
        for number in range(rounds.scale_downs):
            before = drops(replicas)
            scene.patch("exports", scaling=next(asked))

            def fell(before: int = before) -> bool:
                keep_busy(scene)
                return drops(replicas) > before and busy.replicas == 1

            until(fell, that=f"scale-down {number + 1}")
            if number < rounds.rollouts:
                roll(scene, number)
            scene.patch("exports", scaling=next(asked))

            def rose() -> bool:
                keep_busy(scene)
                return busy.replicas == 4 and not _rolling(busy)

            until(rose, that="the fleet is whole again")
        lowered = drops(replicas)
    scene.await_all_done()
    counted = figures(scene.tasks, scene.broker, "exports", {})
    write_down(counted | {"rollouts": rounds.rollouts}, figures_file)
    otherwise = operator.metric(OTHERWISE, namespace=scene.namespace, taskqueue="exports")
    with capsys.disabled():
        workers = len(scene.tasks.workers())
        print(f"\n{lowered} scale-downs, {rounds.rollouts} rollouts, ", end="")
        print(f"{otherwise:.0f} pods removed in place of those asked for, ", end="")
        print(f"{len(scene.tasks.published)} tasks on {workers} workers: {scene.tasks.tally()}")
    assert lowered >= rounds.scale_downs
    assert scene.tasks.tally() == CLEAN


def roll(scene: Scene, number: int) -> None:
    """A new generation of workers, as a change of the template brings it."""
    annotations = {"metadata": {"annotations": {"release": str(number)}}}
    scene.patch("exports", worker={"template": annotations})


def _rolling(fleet: Fleet) -> bool:
    stored = fleet.kubectl.get("deployment", fleet.deployment)
    status = stored.get("status", {})
    return not (
        status.get("observedGeneration") == stored["metadata"]["generation"]
        and status.get("updatedReplicas", 0) == status.get("replicas", 0) == 4
        and status.get("readyReplicas", 0) == 4
    )
