"""A broker that is away: unknown is not zero."""

from __future__ import annotations

import time

from stage.counting import CLEAN
from stage.fleet import Fleet
from stage.objects import taskqueue
from stage.scene import Scene
from stage.streams import watched

from tests.e2e.conftest import Rounds


def test_a_stopped_broker_lowers_no_fleet_brings_the_fallback_and_is_taken_up_at_once(
    scene: Scene, rounds: Rounds
) -> None:
    # One that would go to zero at once if unknown were nothing, and one with a fallback.
    exports = scene.fleet("exports", scaling={"minReplicas": 2, "maxReplicas": 2})
    exports.await_ready(2)
    fallback = {"failureThreshold": 2, "replicas": 1}
    scene.apply(taskqueue("emails", scene.broker, scaling={"fallback": fallback}))
    emails = Fleet(scene.kubectl, "emails")
    emails.await_condition("Ready")
    scene.tasks.publish("exports", 30, seconds=0.5)
    with watched(
        scene.kubectl, "deployment", ".spec.replicas", which=exports.deployment
    ) as replicas:
        scene.broker.stop()
        scene.patch("exports", scaling={"minReplicas": 0})
        told = exports.await_condition("BrokerReachable", "False")
        assert told["message"]
        emails.await_replicas(1)
        # What must not happen has no event to wait for.
        time.sleep(rounds.away_s)
        assert set(replicas.column(0)) == {"2"}
        exports.await_condition("ScalingActive", "False")

        scene.broker.start()
        exports.await_condition("BrokerReachable", "True")
        scene.await_all_done()
        exports.await_replicas(0)
    emails.await_replicas(0)
    assert scene.tasks.tally() == CLEAN
