"""Who leaves: a table of fleets, then what must hold from tick to tick."""

from __future__ import annotations

from typing import Any

import pytest

from sluiceway.decide.observation import WorkerState, WorkerView
from sluiceway.decide.victims import choose

RUN_S = 10.0


def worker(name: str, state: WorkerState = WorkerState.CONSUMING, **fields: Any) -> WorkerView:
    new = state is WorkerState.STARTING
    return WorkerView(name=name, state=state, incarnation=None if new else f"{name}:1", **fields)


def busy(name: str, ran_s: float, active: int = 1, **fields: Any) -> WorkerView:
    return worker(name, active=active, running_for_s=ran_s, **fields)


def first_to_go(
    *workers: WorkerView, leased: tuple[str, ...] = (), run_s: float | None = RUN_S
) -> str:
    leaving = choose(workers, surplus=1, wanted=0, leased=leased, run_s=run_s)
    return "".join(leaving.drain).removesuffix(":1") or leaving.remove[0]


ORDER: dict[str, tuple[tuple[WorkerView, ...], str]] = {
    "one that has not said anything before an idle one": (
        (worker("a"), worker("z", WorkerState.STARTING)), "z",
    ),
    "an idle one before one that runs something": ((busy("a", 9.9), worker("z")), "z"),
    "an idle one without ETA tasks before one that holds some": (
        (worker("a", scheduled=2), worker("z")), "z",
    ),
    "one that will be free soon before one that has just begun": (
        (busy("a", 1.0), busy("z", 9.0)), "z",
    ),
    "one that has just begun before one that runs long already": (
        (busy("a", 300.0), busy("z", 0.1)), "z",
    ),
    "the longest-running work is the last to be asked": (
        (busy("a", 3600.0), busy("b", 300.0), busy("z", 30.0)), "z",
    ),
    "one task before several, which end later": ((busy("a", 5.0, active=3), busy("z", 5.0)), "z"),
    "one that drains already before an idle one": (
        (worker("a"), worker("z", WorkerState.DRAINING, active=1, running_for_s=2.0)), "z",
    ),
    "by name where nothing else tells": ((worker("b"), worker("a"), worker("c")), "a"),
}  # fmt: skip


@pytest.mark.parametrize(("workers", "first"), ORDER.values(), ids=ORDER.keys())
def test_who_goes_first(workers: tuple[WorkerView, ...], first: str) -> None:
    assert first_to_go(*workers) == first
    assert first_to_go(*reversed(workers)) == first


def test_without_known_run_times_the_youngest_work_goes_first() -> None:
    assert first_to_go(busy("a", 60.0), busy("z", 5.0), run_s=None) == "z"


def test_whoever_was_asked_stays_asked_even_when_another_becomes_idle() -> None:
    asked = busy("z", 300.0)
    assert first_to_go(worker("a"), asked, leased=("z:1",)) == "z"


def test_after_a_takeover_workers_that_drain_are_found_by_their_own_word() -> None:
    assert first_to_go(worker("a"), worker("z", WorkerState.DRAINED), leased=()) == "z"


def test_of_those_that_drain_the_one_that_is_done_goes() -> None:
    workers = (
        worker("a", WorkerState.DRAINING, active=1, running_for_s=1.0),
        worker("z", WorkerState.DRAINED),
    )
    assert first_to_go(*workers, leased=("a:1", "z:1")) == "z"


def test_silent_and_stopping_workers_are_never_chosen() -> None:
    workers = (worker("a", WorkerState.SILENT), worker("b", WorkerState.STOPPING))
    leaving = choose(workers, surplus=2, wanted=0, leased=("a:1", "b:1"), run_s=RUN_S)
    assert (leaving.drain, leaving.remove) == ((), ())


def test_as_many_as_are_wanted_stay_even_when_some_are_silent() -> None:
    workers = (worker("a", WorkerState.SILENT), worker("b"), worker("c"))
    leaving = choose(workers, surplus=2, wanted=1, leased=(), run_s=RUN_S)
    assert leaving.drain == ("b:1",)


@pytest.mark.parametrize(
    "held", [{"active": 1}, {"reserved": 1}, {"scheduled": 1}], ids=lambda held: next(iter(held))
)
def test_a_drained_worker_that_still_holds_something_does_not_go(held: dict[str, int]) -> None:
    worker_ = worker("a", WorkerState.DRAINED, **held)
    leaving = choose([worker_], surplus=1, wanted=0, leased=(), run_s=RUN_S)
    assert (leaving.drain, leaving.remove) == (("a:1",), ())
