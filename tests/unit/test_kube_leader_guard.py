"""The guard of leadership on a virtual clock: whom the Lease lets act, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from sluiceway.kube.errors import CONFLICT, NOT_FOUND, KubeError
from sluiceway.kube.leader import Leadership, LeasePace
from sluiceway.kube.lease import LeaseStore

# Real waits between attempts are short; what the rules count is the virtual clock.
PACE = LeasePace(lease_s=15, renew_deadline_s=10.0, retry_s=0.002)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """One Lease, kept with optimistic locking as an API server does."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.failure: KubeError | None = None
        self.before_answer: Callable[[], None] = lambda: None

    def write(self, spec: dict[str, Any]) -> None:
        self.version += 1
        before = self.lease["spec"] if self.lease else {}
        metadata = {"name": "election", "resourceVersion": str(self.version)}
        self.lease = {"metadata": metadata, "spec": before | spec}

    async def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        timeout_s: float,
    ) -> bytes:
        assert timeout_s < PACE.renew_deadline_s
        if self.failure is not None:
            raise self.failure
        if method == "POST":
            if self.lease is not None:
                raise KubeError("exists", status=CONFLICT)
            self.write(body["spec"])
        elif self.lease is None:
            raise KubeError("not found", status=NOT_FOUND)
        elif method == "PATCH":
            if body["metadata"]["resourceVersion"] != str(self.version):
                raise KubeError("modified", status=CONFLICT)
            self.write(body["spec"])
        self.before_answer()
        return msgspec.json.encode(self.lease)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Replica:
    """A candidate, and the terms that it served."""

    def __init__(self, server: Server, clock: Clock, identity: str) -> None:
        self.leadership = Leadership(
            LeaseStore(server, namespace="shop", name="election"),
            identity=identity,
            pace=PACE,
            clock=clock,
        )
        self.terms: list[int] = []
        self.ended: list[int] = []
        self.task = asyncio.create_task(self.leadership.run(self._act))

    async def _act(self, epoch: int) -> None:
        self.terms.append(epoch)
        try:
            await asyncio.Event().wait()
        finally:
            assert not self.leadership.may_act(), "no write is begun while a term is wound up"
            self.ended.append(epoch)

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - turns of the loop are what is waited for
            await asyncio.sleep(0.001)


async def attempts(server: Server, count: int) -> None:
    """Return after so many more requests were answered or refused."""
    seen = 0

    def one_more() -> None:
        nonlocal seen
        seen += 1

    server.before_answer = one_more
    await until(lambda: seen >= count)


async def test_the_proof_is_as_old_as_the_moment_before_it_was_asked_for(
    server: Server, clock: Clock
) -> None:
    def slow() -> None:
        if server.version:
            clock.now += 9.0

    server.before_answer = slow
    one = Replica(server, clock, "one")
    await until(lambda: bool(one.terms))
    server.before_answer = lambda: None
    server.failure = KubeError("nothing listens there")
    clock.now += 1.0
    assert not one.leadership.may_act(), "ten seconds ago it was asked for"
    await one.stop()


async def test_a_leader_that_cannot_renew_is_wound_up_at_its_deadline_and_stands_again(
    server: Server, clock: Clock
) -> None:
    one = Replica(server, clock, "one")
    await until(one.leadership.may_act)
    server.failure = KubeError("nothing listens there")
    await asyncio.sleep(0.02)
    assert one.leadership.may_act(), "a short outage ends no term"
    clock.now += 10.0
    assert not one.leadership.may_act()
    await until(lambda: one.ended == [1])
    server.failure = None
    await until(lambda: one.terms == [1, 2])
    await one.stop()


async def test_a_lease_that_changes_is_never_taken_whatever_its_clock_says(
    server: Server, clock: Clock
) -> None:
    server.write({"holderIdentity": "other", "renewTime": "1999-01-01T00:00:00.000000Z"})
    one = Replica(server, clock, "one")
    for _ in range(5):
        await attempts(server, 2)
        clock.now += 14.0
        server.write({"holderIdentity": "other"})
    await attempts(server, 2)
    assert one.terms == []
    clock.now += 15.1
    await until(lambda: one.terms == [1])
    await one.stop()


async def test_a_leader_that_sees_another_holder_ends_its_term_at_once(
    server: Server, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    one = Replica(server, clock, "one")
    await until(one.leadership.may_act)
    server.write({"holderIdentity": "other", "leaseTransitions": 2})
    await until(lambda: one.ended == [1])
    assert clock.now == 1000.0
    await one.stop()
    assert "leadership is lost: other holds the Lease by now" in caplog.text
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == "other", "it is not ours to release"


async def test_an_edit_of_the_lease_by_somebody_else_ends_no_term(
    server: Server, clock: Clock
) -> None:
    one = Replica(server, clock, "one")
    await until(one.leadership.may_act)
    server.write({})
    await attempts(server, 4)
    assert one.ended == []
    await one.stop()


async def test_a_stop_in_good_order_releases_the_lease_after_the_term_was_wound_up(
    server: Server, clock: Clock
) -> None:
    one = Replica(server, clock, "one")
    await until(one.leadership.may_act)
    await one.stop()
    assert one.ended == [1]
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == ""
    two = Replica(server, clock, "two")
    await until(lambda: two.terms == [2])
    await two.stop()


async def test_a_defect_in_acting_ends_the_replica_and_frees_the_lease(
    server: Server, clock: Clock
) -> None:
    async def act(epoch: int) -> None:
        raise LookupError(f"defect in term {epoch}")

    acting: Callable[[int], Awaitable[None]] = act
    leadership = Leadership(
        LeaseStore(server, namespace="shop", name="election"),
        identity="one",
        pace=PACE,
        clock=clock,
    )
    with pytest.raises(LookupError, match="term 1"):
        await leadership.run(acting)
    assert server.lease is not None
    assert server.lease["spec"]["holderIdentity"] == ""


def test_a_pace_under_which_two_could_act_at_once_is_refused() -> None:
    with pytest.raises(ValueError, match="two may act at once"):
        LeasePace(lease_s=10, renew_deadline_s=10.0)


async def test_who_lost_the_race_for_a_new_lease_stands_by_without_a_problem(
    server: Server, clock: Clock
) -> None:
    one, two = Replica(server, clock, "one"), Replica(server, clock, "two")
    await until(lambda: one.leadership.may_act() or two.leadership.may_act())
    late = two if one.leadership.may_act() else one
    late.leadership.problem = "the Lease exists already"
    await attempts(server, 4)
    await until(lambda: late.leadership.problem is None)
    assert not late.leadership.may_act()
    await one.stop()
    await two.stop()
