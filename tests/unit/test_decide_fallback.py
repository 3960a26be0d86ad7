"""What a fleet is held at while its broker cannot be read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluiceway.decide import decide
from sluiceway.decide.decision import Decision, Reason
from sluiceway.decide.observation import (
    Observation,
    WorkerState,
)
from tests.unit.situations import NOW, knows, seen, spec, worker

UNREADABLE = seen(None, replicas=5, broker_problem="connection refused")


def after_unknown(readings: int, observation: Observation, **fallback: Any) -> Decision:
    history = knows(1.0, recommendations=((NOW - 1000, 0),))
    for _ in range(readings):
        decision = decide(spec(fallback=fallback), observation, history, NOW)
        history = replace(decision.history, recommendations=((NOW - 1000, 0),))
    return decision


@pytest.mark.parametrize(
    ("behavior", "replicas", "desired"),
    [
        ("static", 8, 8),
        ("static", 2, 2),
        ("currentReplicas", 8, 5),
        ("currentReplicas", 2, 5),
        ("currentReplicasIfHigher", 8, 8),
        ("currentReplicasIfHigher", 2, 5),
        ("currentReplicasIfLower", 8, 5),
        ("currentReplicasIfLower", 2, 5),
    ],
)
def test_only_a_static_fallback_lowers(behavior: str, replicas: int, desired: int) -> None:
    decision = after_unknown(4, UNREADABLE, replicas=replicas, behavior=behavior)
    assert (decision.desired, decision.reason) == (desired, Reason.FALLBACK)


def test_the_fallback_holds_from_the_reading_after_the_threshold() -> None:
    fallback = {"replicas": 8, "behavior": "static", "failure_threshold": 3}
    assert after_unknown(3, UNREADABLE, **fallback).reason is Reason.BROKER_UNKNOWN
    assert after_unknown(4, UNREADABLE, **fallback).reason is Reason.FALLBACK


def test_one_good_reading_starts_the_count_anew() -> None:
    fallback = {"replicas": 8, "behavior": "static"}
    history = after_unknown(4, UNREADABLE, **fallback).history
    history = decide(spec(fallback=fallback), seen(1, replicas=5), history, NOW).history
    decision = decide(spec(fallback=fallback), UNREADABLE, history, NOW)
    assert decision.reason is Reason.BROKER_UNKNOWN


def test_the_limits_hold_for_a_fallback() -> None:
    assert after_unknown(4, UNREADABLE, replicas=99, behavior="static").desired == 40


def test_a_static_fallback_lowers_without_a_broker_and_spares_what_runs() -> None:
    busy = worker("a", WorkerState.SILENT, active=1)
    others = tuple(worker(name, WorkerState.SILENT) for name in "bcde")
    blind = replace(UNREADABLE, workers=(busy, *others))
    decision = after_unknown(4, blind, replicas=0, behavior="static")
    assert decision.desired == 1  # zero is reached by known idleness only
    assert decision.remove == ("b", "c", "d", "e")
    assert decision.drain == ()


# --- leaving --------------------------------------------------------------------------
