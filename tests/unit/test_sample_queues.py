"""The sample's TaskQueues: valid, and one for every queue that the shop publishes to."""

from __future__ import annotations

from pathlib import Path

from sluiceway.api.load import load
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.demo.with_sluiceway import queues_yaml
from sluiceway_sample import settings

FILE = Path(__file__).parents[2] / "worker_image/sample/queues.yaml"


def served(source: Path | str) -> set[str]:
    return {name for found in load(source) if isinstance(found, TaskQueue) for name in found.queues}


def test_every_queue_of_the_shop_has_a_fleet() -> None:
    assert served(FILE) == {route["queue"] for route in settings.task_routes.values()}


def test_the_demo_tells_of_two_of_them_and_how_many_workers_at_most() -> None:
    yaml = queues_yaml(max_workers=7)
    assert served(yaml) == {"exports", "emails"}
    exports = next(tq for tq in load(yaml) if tq.metadata.name == "exports")
    assert isinstance(exports, TaskQueue)
    assert exports.spec.scaling.max_replicas == 7
