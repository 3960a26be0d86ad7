"""What people read of a worker that died, and of messages that are given up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sluiceway.broker.holders import Cause
from sluiceway.report.deaths import event_of_letters, events_of
from sluiceway_worker.fate import Death
from sluiceway_worker.recovery import Recovered


def died(**what: Any) -> Recovered:
    return Recovered(Death(incarnation="video-1:a", at=1.0, reason="OOMKilled"), **what)


@pytest.mark.parametrize(
    ("recovered", "sentences"),
    [
        (died(), ["it held no message"]),
        (
            died(returned=3, running=Counter({"shop.pay": 2, "shop.render": 1})),
            ["3 messages went back to the head of the queue; it had 2 × shop.pay, 1 × shop.render"],
        ),
        (
            died(dead=1, running=Counter({"shop.pay": 1})),
            [
                "1 message became a dead letter; it had 1 × shop.pay",
                "1 message will not be given out again after too many deaths of workers that ran "
                "it, the last of video-1 (OOMKilled); look at them with "
                "`sluiceway dead list -q shop/video`",
            ],
        ),
    ],
    ids=["idle", "came back", "given up"],
)
def test_an_event_tells_of_a_worker_without_memory_and_of_what_it_had(
    recovered: Recovered, sentences: list[str]
) -> None:
    told = [event.sentence for event in events_of("shop/video", Cause.MEMORY, recovered)]
    first, *more = sentences
    assert told == [f"worker video-1 is dead (OOMKilled): {first}", *more]


def test_an_event_tells_of_dead_letters_that_no_death_of_a_worker_made() -> None:
    event = event_of_letters("shop/video", 2, at=1.0)
    assert (event.fleet, event.kind.value) == ("shop/video", "DeadLetters")
    assert event.sentence.startswith("2 messages will not be given out again")
    assert "`sluiceway dead list -q shop/video`" in event.sentence
