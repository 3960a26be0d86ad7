"""Carrying a decision out: who is asked, who is recalled, and what is left alone."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from sluiceway.act.carry_out import carry_out
from sluiceway.decide.decision import Decision, Reason
from sluiceway.decide.history import History
from sluiceway.decide.observation import Observation, QueueView, WorkerState, WorkerView


class Leases:
    """Notes what it is told; may be out of order."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.said: list[tuple[set[str], set[str]]] = []
        self.trouble = trouble

    async def set(self, *, hold: Collection[str], recall: Collection[str]) -> None:
        if self.trouble:
            raise self.trouble
        self.said.append((set(hold), set(recall)))

    async def forget(self, incarnations: Collection[str]) -> None:
        raise AssertionError("not a decision's matter")


class Fleet:
    def __init__(
        self, replicas: int, *, marked: Collection[str] = (), leaving: Collection[str] = ()
    ) -> None:
        self.replicas = replicas
        self.marked = frozenset(marked)
        self.leaving = frozenset(leaving)
        self.said: list[tuple[int, tuple[str, ...]]] = []

    async def scale(self, replicas: int, remove: tuple[str, ...]) -> None:
        self.said.append((replicas, remove))


def decision(replicas: int, **more: Any) -> Decision:
    given = {
        "at": 0.0,
        "current": replicas,
        "recommendation": replicas,
        "desired": replicas,
        "replicas": replicas,
        "reason": Reason.MEETING_TARGET,
        "sentence": "as many as needed",
        "history": History(),
    }
    return Decision(**given | more)


def seen(**states: WorkerState) -> Observation:
    """An observation of workers ``a``, ``b``… whose incarnations are ``a:1``, ``b:1``…"""
    return Observation(
        at=0.0,
        queues=(QueueView(name="q", length=0),),
        workers=tuple(
            WorkerView(name=name, incarnation=f"{name}:1", state=state)
            for name, state in states.items()
        ),
        replicas=len(states),
    )


CONSUMING, DRAINING = WorkerState.CONSUMING, WorkerState.DRAINING
DRAINED, STOPPING = WorkerState.DRAINED, WorkerState.STOPPING


async def test_where_the_world_matches_nothing_is_sent() -> None:
    leases, fleet = Leases(), Fleet(2)

    await carry_out(
        decision(2), seen(a=CONSUMING, b=CONSUMING), fleet=fleet, leases=leases, leased=frozenset()
    )

    assert (leases.said, fleet.said) == ([], [])


async def test_a_lease_that_is_still_wanted_is_renewed_every_time() -> None:
    leases, fleet = Leases(), Fleet(2)
    leased: frozenset[str] = frozenset()

    for _ in range(2):
        leased = await carry_out(
            decision(2, drain=("b:1",)),
            seen(a=CONSUMING, b=DRAINING),
            fleet=fleet,
            leases=leases,
            leased=leased,
        )

    assert leases.said == [({"b:1"}, set())] * 2
    assert fleet.said == []


@pytest.mark.parametrize(
    ("state", "leased", "recalled"),
    [
        pytest.param(DRAINING, {"a:1"}, True, id="that drains at our request"),
        pytest.param(DRAINED, set(), True, id="that drained at an earlier leader's request"),
        pytest.param(CONSUMING, {"a:1"}, True, id="that was asked a moment ago and says nothing"),
        pytest.param(CONSUMING, set(), False, id="that nobody asked: there is nothing to recall"),
        pytest.param(STOPPING, {"a:1"}, False, id="that has been told to go: it must not return"),
    ],
)
async def test_recalled_is_a_worker(state: WorkerState, leased: set[str], recalled: bool) -> None:
    leases = Leases()

    left = await carry_out(
        decision(1), seen(a=state), fleet=Fleet(1), leases=leases, leased=frozenset(leased)
    )

    assert leases.said == ([(set(), {"a:1"})] if recalled else [])
    assert left == frozenset()


async def test_who_may_go_is_removed_and_not_recalled() -> None:
    leases, fleet = Leases(), Fleet(2)

    await carry_out(
        decision(1, remove=("b",)),
        seen(a=CONSUMING, b=DRAINED),
        fleet=fleet,
        leases=leases,
        leased=frozenset({"b:1"}),
    )

    assert leases.said == []
    assert fleet.said == [(1, ("b",))]


async def test_a_broker_that_takes_no_commands_does_not_keep_a_fleet_from_growing() -> None:
    fleet = Fleet(1)

    with pytest.raises(OSError, match="no broker"):
        await carry_out(
            decision(3),
            seen(a=DRAINING),
            fleet=fleet,
            leases=Leases(OSError("no broker")),
            leased=frozenset(),
        )

    assert fleet.said == [(3, ())]


async def test_nobody_is_recalled_who_was_let_go_and_not_told_yet() -> None:
    leases, fleet = Leases(), Fleet(1, leaving=["a"])
    await carry_out(
        decision(1),
        seen(a=WorkerState.DRAINED, b=WorkerState.CONSUMING),
        fleet=fleet,
        leases=leases,
        leased=frozenset({"a:1"}),
    )
    assert leases.said == []


async def test_a_mark_that_is_not_wanted_any_more_is_brought_to_the_fleet() -> None:
    fleet = Fleet(2, marked=["a"])
    await carry_out(
        decision(2),
        seen(a=WorkerState.CONSUMING, b=WorkerState.CONSUMING),
        fleet=fleet,
        leases=Leases(),
        leased=frozenset(),
    )
    assert fleet.said == [(2, ())]
