"""A task needs more memory than its worker has, and the kernel ends it: others are none the worse.

With cgroup v1 the kernel ends one process, the one that has most; with v2 Kubernetes has it end
the whole container. A pool of threads is one process: there it is the same with both. A process
of a prefork pool is ended alone with v1, and with v2 where ``singleProcessOOMKill`` is set.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from stage.operator import Operator
from stage.under_work import QUEUE, UnderWork
from stage.until import until
from testcluster import cgroups
from testcluster.kubectl import Kubectl
from testcluster.local import LocalCluster
from testcluster.provider import Cluster

MEMORY = "200Mi"
DEATHS = "sluiceway_taskqueue_worker_deaths_total"
LETTERS = "sluiceway_dead_letters"
DELIVERIES = 3
"""As many as ``maxDeliveries`` allows where nobody says otherwise."""


@pytest.fixture
def kills_one_process(cluster: Cluster) -> None:
    """Nodes whose kernel ends one process for want of memory."""
    if not isinstance(cluster, LocalCluster) or cgroups.unified():
        pytest.skip("only on nodes of our own with cgroup v1: v2 ends the whole container")


def test_what_ends_its_container_is_given_up_and_what_ran_beside_it_runs_again(
    stage: Callable[..., UnderWork], times: int, operator: Operator
) -> None:
    here = stage(memory=MEMORY, longest_s=2.0, pool="threads", concurrency=3, acks="late")
    listed = []
    for _ in range(times):
        here.busy_until(here.whole, "the fleet is whole")
        listed += poison(here)
        ended = restarted(here)
        assert {one["exitCode"] for one in ended.values()} == {137}
        assert "OOMKilled" in {one["reason"] for one in ended.values()}
        # New ones in their place: a kubelet waits the longer the more often a container has ended.
        here.scene.kubectl.run("delete", "pod", *ended, "--wait=false")
    counted = here.count(here.poisoned(), listed_s=listed, letters=times)
    assert {n: counted[n] for n in ("lost", "run_twice", "stranded") if counted[n]} == {}

    who = {"namespace": here.scene.namespace, "taskqueue": QUEUE}
    assert operator.metric(DEATHS, cause="memory", **who) >= 1
    until(lambda: operator.metric(LETTERS, **who) == times, that="its dead letters are counted")
    note = told(here.scene.kubectl, "TasksCameBack")
    reasons = {reason for one in here.letters().values() for _, reason, _ in one.deaths}
    assert any(f"is dead ({reason})" in note for reason in reasons)
    assert "1 × counted.hoard" in note
    assert "1 message will not be given out again" in told(here.scene.kubectl, "DeadLetters")


@pytest.mark.usefixtures("kills_one_process")
def test_what_ends_a_process_of_the_pool_is_given_up_and_nothing_else_runs_again(
    stage: Callable[..., UnderWork], times: int, operator: Operator
) -> None:
    here = stage(memory=MEMORY, pool="prefork", concurrency=2, acks="late")
    listed = []
    for _ in range(times):
        here.busy_until(here.whole, "the fleet is whole")
        listed += poison(here)
    assert restarted(here) == {}
    counted = here.count(listed_s=listed, letters=times)
    wrong = {"lost", "run_twice", "run_again", "cut", "stranded"}
    assert {name: counted[name] for name in wrong if counted[name]} == {}

    who = {"namespace": here.scene.namespace, "taskqueue": QUEUE}
    until(lambda: operator.metric(LETTERS, **who) == times, that="its dead letters are counted")
    # No operator was asked: it counts them now and then.
    assert "will not be given out again" in told(here.scene.kubectl, "DeadLetters")


def poison(here: UnderWork) -> list[float]:
    """Publish a task that ends whoever runs it; returns when it is given up.

    Returns:
        Seconds from each of its starts until its message was back in its list, or given up.
    """
    task = here.scene.tasks.publish_poison(QUEUE)
    here.busy_until(lambda: task in here.letters(), "it is a dead letter", 300.0)
    letter = here.letters()[task]
    began = [float(row[2]) for row in here.scene.tasks.rows() if row[:2] == [task, "began"]]
    assert (len(began), len(letter.deaths)) == (DELIVERIES, DELIVERIES)
    assert task not in [row[0] for row in here.scene.tasks.rows() if row[1] == "ended"]
    assert json.loads(letter.message)["headers"]["redelivered"] is True
    return [round(death[0] - at, 2) for death, at in zip(letter.deaths, began, strict=True)]


def restarted(here: UnderWork) -> dict[str, dict[str, Any]]:
    """The pods whose container has ended, and how it did last."""
    found = {}
    for pod in here.fleet.pods():
        for status in pod["status"].get("containerStatuses", ()):
            states = (status.get("state", {}), status.get("lastState", {}))
            ended = [one["terminated"] for one in states if "terminated" in one]
            if ended and "deletionTimestamp" not in pod["metadata"]:
                found[pod["metadata"]["name"]] = ended[0]
    return found


def told(kubectl: Kubectl, reason: str) -> str:
    """The first Event with that reason, as soon as there is one."""
    found = until(
        lambda: kubectl.items("events", f"--field-selector=reason={reason}"),
        that=f"{reason} is told",
    )
    return str(found[0]["message"])
