"""How long a queue's oldest message has waited, as a table and as timelines."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from sluiceway.broker.reading import Head, QueueFacts
from sluiceway.decide.observation import QueueView
from sluiceway.observe.memory import SeenHead
from sluiceway.observe.queues import queue_view

AT = 1000.0


@dataclass(frozen=True, kw_only=True)
class Case:
    heads: tuple[Head, ...]
    oldest_wait_s: float | None
    exact: bool = True
    later: tuple[float, ...] = ()


CASES = {
    "a stamp says since when it waits": Case(
        heads=(Head(step=0, message_id="a", published=940.0),), oldest_wait_s=60.0
    ),
    "the longest wait over the priority keys counts": Case(
        heads=(
            Head(step=0, message_id="a", published=990.0),
            Head(step=3, message_id="b", published=900.0),
        ),
        oldest_wait_s=100.0,
    ),
    "an eta that has passed starts the wait": Case(
        heads=(Head(step=0, message_id="a", published=100.0, eta=980.0),), oldest_wait_s=20.0
    ),
    "an eta before the publishing does not lengthen the wait": Case(
        heads=(Head(step=0, message_id="a", published=990.0, eta=100.0),), oldest_wait_s=10.0
    ),
    "a stamp from a clock that is ahead is clamped": Case(
        heads=(Head(step=0, message_id="a", published=1500.0),), oldest_wait_s=0.0
    ),
    "without a stamp the wait is a bound from 0 on": Case(
        heads=(Head(step=0, message_id="a"),), oldest_wait_s=0.0, exact=False
    ),
    "one unstamped head makes the longest wait a bound": Case(
        heads=(
            Head(step=0, message_id="a", published=900.0),
            Head(step=1, message_id="b"),
        ),
        oldest_wait_s=100.0,
        exact=False,
    ),
    "messages for later do not wait": Case(
        heads=(Head(step=0, later=(1300.0, 1200.0)),),
        oldest_wait_s=None,
        later=(1200.0, 1300.0),
    ),
    "one waits behind those for later": Case(
        heads=(Head(step=0, message_id="a", published=970.0, later=(1200.0,)),),
        oldest_wait_s=30.0,
        later=(1200.0,),
    ),
    "a head that is for later by its eta alone does not wait either": Case(
        heads=(Head(step=0, message_id="a", published=100.0, eta=1001.0),),
        oldest_wait_s=None,
        later=(1001.0,),
    ),
    "an eta that came due between script and clock waits from now": Case(
        heads=(Head(step=0, later=(999.9, 1200.0)),), oldest_wait_s=None, later=(1200.0,)
    ),
    "messages that nobody looked at make it a bound": Case(
        heads=(Head(step=0, later=(1200.0,), hidden=7),),
        oldest_wait_s=None,
        exact=False,
        later=(1200.0,),
    ),
    "an empty queue waits for nothing": Case(heads=(), oldest_wait_s=None),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_oldest_wait(case: Case) -> None:
    facts = QueueFacts(length=12 if case.heads else 0, heads=case.heads)
    view, _ = queue_view("video", facts, seen={}, at=AT)
    assert view == QueueView(
        name="video",
        length=facts.length,
        oldest_wait_s=case.oldest_wait_s,
        oldest_wait_is_exact=case.exact,
        head_eta=case.later[0] if case.later else None,
        later_etas=case.later,
    )


def unstamped(message_id: str, *, step: int = 0, eta: float | None = None) -> QueueFacts:
    return QueueFacts(length=1, heads=(Head(step=step, message_id=message_id, eta=eta),))


def test_an_unstamped_head_waits_from_when_it_was_seen_first() -> None:
    seen: dict[tuple[str, int], SeenHead] = {}
    waits = []
    timeline = [(0.0, "a"), (5.0, "a"), (9.0, "b"), (12.0, "b"), (20.0, "a"), (21.0, "a")]
    for at, message_id in timeline:
        view, seen = queue_view("video", unstamped(message_id), seen=seen, at=at)
        waits.append(view.oldest_wait_s)
    assert waits == [0.0, 5.0, 0.0, 3.0, 0.0, 1.0]


def test_an_unstamped_head_waits_at_most_since_its_eta() -> None:
    seen = {("video", 0): SeenHead(message_id="a", since=0.0)}
    view, _ = queue_view("video", unstamped("a", eta=90.0), seen=seen, at=100.0)
    assert view.oldest_wait_s == 10.0


def test_each_priority_key_has_a_head_of_its_own() -> None:
    seen = {("video", 0): SeenHead(message_id="a", since=0.0)}
    view, now_seen = queue_view("video", unstamped("a", step=1), seen=seen, at=100.0)
    assert view.oldest_wait_s == 0.0
    assert now_seen == {("video", 1): SeenHead(message_id="a", since=100.0)}


def test_an_unreadable_queue_is_unknown_and_nothing_of_it_is_forgotten() -> None:
    kept = {("video", 0): SeenHead(message_id="a", since=0.0)}
    seen = kept | {("audio", 0): SeenHead(message_id="b", since=0.0)}
    view, now_seen = queue_view("video", QueueFacts(problem="no"), seen=seen, at=AT)
    assert view == QueueView(name="video", problem="no")
    assert now_seen == kept


def test_an_emptied_queue_is_forgotten() -> None:
    seen = {("video", 0): SeenHead(message_id="a", since=0.0)}
    _, now_seen = queue_view("video", QueueFacts(length=0), seen=seen, at=AT)
    assert now_seen == {}
