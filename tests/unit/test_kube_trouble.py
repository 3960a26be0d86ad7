"""Why workers do not start, in one sentence that names the mend."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from sluiceway.kube.trouble import LONGEST, NODE_WITHIN_S, stuck, trouble
from sluiceway.kube.views import Condition, Deployment, DeploymentStatus, Pod

FLEET = Deployment()


def pod(status: dict[str, Any], **metadata: Any) -> Pod:
    """A pod from the JSON that an API server would send."""
    document = {"metadata": {"name": "video-1", "namespace": "shop", **metadata}, "status": status}
    return msgspec.json.decode(msgspec.json.encode(document), type=Pod)


def waiting(reason: str, message: str = "", **last: Any) -> Pod:
    container = {
        "name": "worker",
        "state": {"waiting": {"reason": reason, "message": message}},
        **last,
    }
    return pod({"phase": "Pending", "containerStatuses": [container]})


RUNNING = pod({"phase": "Running", "containerStatuses": [{"name": "worker", "state": {}}]})
NO_NODE = pod(
    {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/2 nodes are available: 2 Insufficient cpu.",
            }
        ],
    }
)


def test_workers_that_run_or_are_on_their_way_are_no_trouble() -> None:
    assert (
        trouble(FLEET, (RUNNING, waiting("ContainerCreating"), waiting("PodInitializing"))) is None
    )


def test_a_pod_that_fits_on_no_node_says_what_the_scheduler_says() -> None:
    assert trouble(FLEET, (RUNNING, NO_NODE)) == (
        "1 of 2 workers find no node: 0/2 nodes are available: 2 Insufficient cpu; "
        "check the class's nodes, or lower maxReplicas"
    )


@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_an_image_that_cannot_be_pulled_is_named(reason: str) -> None:
    said = trouble(FLEET, (waiting(reason, 'Back-off pulling image "shop:9"'),))
    assert said is not None
    assert said.startswith(
        '1 of 1 workers cannot get their image: container worker: Back-off pulling image "shop:9"'
    )


def test_a_missing_secret_in_the_pods_environment_is_named() -> None:
    said = trouble(FLEET, (waiting("CreateContainerConfigError", 'secret "redis" not found'),))
    assert said is not None
    assert 'cannot be started: container worker: secret "redis" not found' in said


def test_a_crash_loop_tells_how_the_last_run_ended_and_where_to_read_more() -> None:
    crashed = waiting(
        "CrashLoopBackOff",
        "back-off 5m0s restarting failed container",
        restartCount=7,
        lastState={"terminated": {"exitCode": 1, "reason": "Error"}},
    )
    assert trouble(FLEET, (crashed,)) == (
        "1 of 1 workers ended by themselves: container worker: exit code 1, 7 restarts; "
        "see kubectl logs -n shop video-1 --previous"
    )


def test_a_worker_that_was_started_again_after_a_crash_is_in_trouble_until_it_is_ready() -> None:
    last = {"terminated": {"exitCode": 1, "reason": "Error"}}
    again = {"name": "worker", "state": {}, "restartCount": 1, "lastState": last}
    runs = pod({"phase": "Running", "containerStatuses": [again]})
    works = pod({"phase": "Running", "containerStatuses": [{**again, "ready": True}]})
    said = stuck(FLEET, (runs,), CREATED + 1)
    assert said is not None
    assert "container worker: exit code 1, 1 restarts" in said
    assert trouble(FLEET, (works,)) is None


def test_a_worker_that_needed_too_much_memory_says_so() -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    status = {"containerStatuses": [{"name": "worker", "state": ended}]}
    said = trouble(FLEET, (pod(status),))
    assert said is not None
    assert "it needed more memory than its limit allows" in said


def test_an_init_container_that_is_done_is_no_trouble_and_one_that_failed_is() -> None:
    def after(code: int) -> Pod:
        state = {"terminated": {"exitCode": code}}
        return pod({"initContainerStatuses": [{"name": "agent", "state": state}]})

    assert trouble(FLEET, (after(0),)) is None
    said = trouble(FLEET, (after(1),))
    assert said is not None
    assert "container agent: exit code 1" in said


def test_a_quota_that_forbids_more_pods_is_told_though_no_pod_exists() -> None:
    condition = Condition(
        type="ReplicaFailure",
        status="True",
        reason="FailedCreate",
        message='pods "video-1" is forbidden: exceeded quota: workers, requested: pods=1',
    )
    said = trouble(Deployment(status=DeploymentStatus(conditions=(condition,))), ())
    assert said is not None
    assert said.startswith("no further worker can be made: ")
    assert "exceeded quota: workers" in said


def test_a_worker_that_was_told_to_go_is_not_expected_to_work() -> None:
    leaving = pod(
        {"containerStatuses": [{"name": "worker", "state": {"terminated": {"exitCode": 0}}}]},
        deletionTimestamp=datetime.now(UTC).isoformat(),
    )
    assert trouble(FLEET, (leaving, RUNNING)) is None


def test_what_a_person_must_mend_is_told_before_what_an_autoscaler_may() -> None:
    said = trouble(FLEET, (NO_NODE, NO_NODE, waiting("CreateContainerConfigError", "no secret")))
    assert said is not None
    assert said.startswith("1 of 3 workers cannot be started")


def test_words_without_end_are_cut() -> None:
    said = trouble(FLEET, (waiting("ErrImagePull", "very " * 200),))
    assert said is not None
    assert "…" in said
    assert len(said) < LONGEST + 200


READY = pod({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]})
CREATED = NO_NODE.metadata.creation_timestamp.timestamp()


def test_a_missing_image_is_missing_for_every_further_pod() -> None:
    said = stuck(FLEET, (waiting("ErrImagePull", "not found"),), CREATED + 1)
    assert said is not None
    assert "cannot get their image" in said


def test_a_fleet_of_which_one_worker_works_may_grow() -> None:
    assert stuck(FLEET, (READY, waiting("ErrImagePull", "not found")), CREATED + 1) is None


def test_pods_that_find_no_node_call_for_one_and_are_given_time_for_it() -> None:
    assert stuck(FLEET, (NO_NODE,), CREATED + NODE_WITHIN_S) is None
    said = stuck(FLEET, (NO_NODE,), CREATED + NODE_WITHIN_S + 1)
    assert said is not None
    assert "find no node" in said


def test_workers_that_only_start_slowly_hold_nobody_up() -> None:
    assert stuck(FLEET, (waiting("ContainerCreating"), RUNNING), CREATED + 1e6) is None
