"""Which ends the kubelet's word proves, and whether what ran may be to blame."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from sluiceway.broker.holders import Cause, End, ended
from sluiceway.cluster.pods import FollowedPods
from sluiceway.kube.ends import ends_of
from sluiceway.kube.views import Pod
from sluiceway_worker.wire import Holder

AT = "2026-11-25T10:00:05Z"
UNIX = datetime(2026, 11, 25, 10, 0, 5, tzinfo=UTC).timestamp()


def over(reason: str = "Error", code: int = 137, at: str = AT, **more: Any) -> dict[str, Any]:
    return {"terminated": {"reason": reason, "exitCode": code, "finishedAt": at, **more}}


def pod(*containers: dict[str, Any], metadata: Any = None, **status: Any) -> Pod:
    body = {
        "metadata": {"name": "video-1", "namespace": "shop", **(metadata or {})},
        "status": {"containerStatuses": list(containers), **status},
    }
    return msgspec.convert(body, Pod)


def worker(**states: Any) -> dict[str, Any]:
    return {"name": "worker", **states}


@pytest.mark.parametrize(
    ("state", "cause", "reason"),
    [
        (over("OOMKilled"), Cause.MEMORY, "OOMKilled"),
        (over(), Cause.CRASH, "SIGKILL"),
        (over(code=139), Cause.CRASH, "SIGSEGV"),
        (over(code=1), Cause.CRASH, "exit code 1"),
        (over(code=255), Cause.CRASH, "exit code 255"),
        (over("Completed", code=0), Cause.TOLD, "exit code 0"),
        (over("OOMKilled", code=0), Cause.TOLD, "exit code 0"),
        (over("Unknown", code=255), Cause.EVICTED, "ended with its machine"),
    ],
)
def test_a_container_that_ended_is_a_proof_and_says_why(
    state: Any, cause: Cause, reason: str
) -> None:
    expected = End(worker="video-1", cause=cause, reason=reason, before=UNIX)
    assert ends_of(pod(worker(state=state))) == (expected,)
    restarted = worker(state={"running": {}}, lastState=state)
    assert ends_of(pod(restarted)) == (expected,)


def test_who_was_told_to_go_or_was_evicted_is_not_to_blame() -> None:
    going = pod(worker(state=over()), metadata={"deletionTimestamp": AT})
    evicted = pod(worker(state=over()), reason="Evicted", phase="Failed")
    disrupted = pod(
        worker(state=over()), conditions=[{"type": "DisruptionTarget", "status": "True"}]
    )
    assert [ends_of(one)[0].cause for one in (going, evicted, disrupted)] == [
        Cause.TOLD,
        Cause.EVICTED,
        Cause.EVICTED,
    ]
    assert not any(ends_of(one)[0].cause.is_blamed for one in (going, evicted, disrupted))


def test_want_of_memory_is_told_also_of_one_that_was_told_to_go() -> None:
    going = pod(worker(state=over("OOMKilled")), metadata={"deletionTimestamp": AT})
    assert ends_of(going)[0].cause is Cause.MEMORY


@pytest.mark.parametrize(
    "one",
    [
        pod(worker(state={"running": {}}), phase="Failed"),
        pod(worker(state={}), metadata={"deletionTimestamp": AT}),
        pod(worker(state=over("ContainerStatusUnknown"))),
        pod(worker(state={"waiting": {"reason": "CrashLoopBackOff"}})),
        pod({"name": "proxy", "state": over()}, {"name": "app", "state": {"running": {}}}),
        pod(),
    ],
    ids=["phase only", "deleted only", "nobody saw it end", "waiting", "whose it was", "nothing"],
)
def test_without_the_kubelets_word_for_the_container_nothing_is_proven(one: Pod) -> None:
    assert ends_of(one) == ()


def test_a_container_of_another_name_is_the_worker_where_it_is_the_only_one() -> None:
    assert ends_of(pod({"name": "celery", "state": over()}))[0].worker == "video-1"


def test_an_end_is_a_proof_only_for_what_started_before_it_in_that_pod_and_fleet() -> None:
    end = End(worker="w", cause=Cause.CRASH, reason="", before=1000.0)
    holders = {
        "w:earlier": Holder("shop/video", "c", 999.9),
        # The kubelet cuts off what is below a second: this is the next one.
        "w:next": Holder("shop/video", "c", 1000.4),
        "w:untold": Holder("shop/video", "c", None),
        "w:other": Holder("shop/audio", "c", 900.0),
        "w:nobodys": Holder("", "c", 900.0),
        "v:1": Holder("shop/video", "c", 900.0),
    }
    assert [who for who, _ in ended(holders, "shop/video", [end])] == [
        "w:earlier",
        "w:nobodys",
    ]
    process = End(worker="w", cause=Cause.CRASH, reason="")
    proven = [who for who, _ in ended(holders, "shop/video", [process])]
    assert proven == ["w:earlier", "w:next", "w:untold", "w:nobodys"]


def test_an_end_is_remembered_when_its_pod_is_gone_and_knows_what_runs_again() -> None:
    pods = FollowedPods(None, namespaces=(), selector="", changed=lambda *_: None)  # type: ignore[arg-type]
    ended_ = pod(worker(state=over()))
    again = pod(worker(state={"running": {}}, lastState=over()))
    pods._pod(None, ended_)
    (end,) = pods.ends("shop", "")
    assert not end.if_silent
    pods._pod(ended_, again)
    (end,) = pods.ends("shop", "")
    assert end.if_silent
    pods._pod(again, None)
    (end,) = pods.ends("shop", "")
    assert (end.worker, end.if_silent) == ("video-1", False)
    assert pods.ends("other", "") == ()
