"""What a GitOps tool applied stays what is there, however much is scaled."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from stage.counting import CLEAN
from stage.fleet import Fleet
from stage.images import COUNTED
from stage.objects import CLASSES, deployment, taskqueue
from stage.operator import Operator
from stage.scene import Scene
from stage.streams import watched
from testcluster.paths import MANIFESTS

from tests.e2e.conftest import Rounds


def test_kubectl_diff_shows_nothing_after_a_time_of_scaling(
    scene: Scene,
    operator: Operator,
    rounds: Rounds,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The number of workers is the operator's, so a team leaves it out of its manifest.
    own = deployment("own", container=CELERY, pool="light")
    del own["spec"]["replicas"]
    of_own = taskqueue("emails", scene.broker)
    of_own["spec"]["worker"] = {"deploymentRef": {"name": "own"}, "concurrency": 1}
    of_own["spec"]["worker"] |= {"longestTask": "30s"}
    exports = taskqueue("exports", scene.broker, scaling={"maxReplicas": 3})
    objects = [*CLASSES, own, exports, of_own]
    manifest = tmp_path / "applied.json"
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    scene.kubectl.run("apply", "--filename", manifest)
    fleets = {"exports": Fleet(scene.kubectl, "exports")}
    fleets["emails"] = Fleet(scene.kubectl, "emails", deployment="own")
    for fleet in fleets.values():
        fleet.await_condition("Ready")

    bursts, begun_at = 0, time.monotonic()
    with watched(scene.kubectl, "taskqueues", ".metadata.resourceVersion") as changes:
        while bursts == 0 or time.monotonic() - begun_at < rounds.scaling_s:
            for queue in fleets:
                scene.tasks.publish(queue, 12, seconds=0.3)
            scene.await_all_done()
            for fleet in fleets.values():
                fleet.await_replicas(0)
            bursts += 1
        for_s = time.monotonic() - begun_at
        with capsys.disabled():
            print(f"\n{bursts} bursts in {for_s:.0f} s, {len(changes.seen)} writes of a status")
    assert scene.tasks.tally() == CLEAN
    for outcome in (
        scene.kubectl.try_run("diff", "--filename", manifest),
        operator.cluster.try_run("diff", "-k", MANIFESTS / "base"),
    ):
        assert (outcome.code, outcome.stdout) == (0, ""), outcome.stderr


CELERY = {
    "name": "celery",
    "image": COUNTED,
    "command": ["celery", "-A", "counted", "worker", "-P", "solo", "-Q", "emails"],
    "env": [{"name": "CELERY_BROKER_URL", "value": "redis://redis:6379/0"}],
}
