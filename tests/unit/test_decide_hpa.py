"""The HPA's rules: its own published cases, then long runs beside a plain model of it."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluiceway.api.scaling import Behavior, ScalingPolicy, ScalingRules
from sluiceway.api.taskqueue import TaskQueueSpec
from sluiceway.decide import decide, hpa
from sluiceway.decide.history import History
from sluiceway.decide.observation import Observation, QueueView

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parents[1] / "data" / "hpa" / "vectors.json").read_text()
)
WITH_BEHAVIOR = [case for case in CASES if case["behavior"] is not None]


def of_kind(*kinds: str) -> list[Any]:
    chosen = [case for case in WITH_BEHAVIOR if case["kind"] in kinds]
    assert chosen
    return [pytest.param(case, id=case["name"]) for case in chosen]


def rules(case: dict[str, Any]) -> tuple[hpa.Rules, hpa.Rules]:
    """The case's behavior; the HPA fills both blocks, also where none is written."""
    given = {"scaleUp": {}, "scaleDown": {}} | case["behavior"]
    behavior = Behavior.model_validate(given)
    return hpa.rules_up(behavior), hpa.rules_down(behavior)


def timed(case: dict[str, Any], key: str, value: str) -> list[hpa.Timed]:
    return [(case["now"] - entry["age"], entry[value]) for entry in case.get(key) or []]


def limited(case: dict[str, Any], desired: int) -> tuple[int, hpa.Limited]:
    up, down = rules(case)
    return hpa.limit_rate(
        desired,
        case["current"],
        low=case["minReplicas"],
        high=case["maxReplicas"],
        scale_ups=timed(case, "scaleUpEvents", "change"),
        scale_downs=timed(case, "scaleDownEvents", "change"),
        now=case["now"],
        up=up,
        down=down,
    )


def stabilized(case: dict[str, Any]) -> tuple[int, hpa.Stabilized]:
    up, down = rules(case)
    recommendations = timed(case, "recommendations", "value")
    return hpa.stabilize(case["desired"], case["current"], recommendations, case["now"], up, down)


def test_only_the_cases_of_the_path_without_behavior_are_left_out() -> None:
    assert len(CASES) == 107
    assert len(WITH_BEHAVIOR) == 64


@pytest.mark.parametrize("case", of_kind("rate"))
def test_a_published_rate_case_gives_the_hpas_number_and_reason(case: dict[str, Any]) -> None:
    assert limited(case, case["desired"]) == (case["expected"], case["expectedReason"])


@pytest.mark.parametrize("case", of_kind("stabilize"))
def test_a_published_stabilization_case_gives_the_hpas_number(case: dict[str, Any]) -> None:
    assert stabilized(case)[0] == case["expected"]


@pytest.mark.parametrize("case", of_kind("normalize"))
def test_a_published_whole_case_gives_the_hpas_number_and_reasons(case: dict[str, Any]) -> None:
    stable, able_to_scale = stabilized(case)
    number, reason = limited(case, stable)
    assert number == case["expected"]
    assert reason == case["expectedReason"]
    assert able_to_scale == case["expectedAbleToScaleReason"]
    assert (number != stable) == case["expectedScalingLimited"]


@pytest.mark.parametrize("case", of_kind("tolerance"))
def test_a_published_tolerance_case_gives_the_hpas_number(case: dict[str, Any]) -> None:
    if not case["toleranceGate"]:
        # The HPA then ignores the field and takes its default; here it is always heeded.
        case = case | {"behavior": {"scaleUp": {}, "scaleDown": {}}}
    up, down = rules(case)
    inside = hpa.within_tolerance(case["usageRatio"], up, down)
    wanted = case["current"] if inside else math.ceil(case["usageRatio"] * case["current"])
    whole = case | {"desired": wanted, "recommendations": []}
    assert limited(whole, stabilized(whole)[0])[0] == case["expected"]


@pytest.mark.parametrize(
    ("behavior", "up", "down"),
    [
        pytest.param(
            Behavior(),
            hpa.Rules(window_s=0),
            hpa.Rules(window_s=60),
            id="absent blocks are ours: up at once, down after 60 s, no rate, no tolerance",
        ),
        pytest.param(
            Behavior(scale_up=ScalingRules(), scale_down=ScalingRules()),
            hpa.Rules(window_s=0, policies=hpa.HPA_SCALE_UP_POLICIES, tolerance=0.1),
            hpa.Rules(window_s=300, policies=hpa.HPA_SCALE_DOWN_POLICIES, tolerance=0.1),
            id="empty blocks are the HPA's own defaults",
        ),
        pytest.param(
            Behavior(scale_down=ScalingRules(stabilization_window_seconds=0, tolerance="50m")),
            hpa.Rules(window_s=0),
            hpa.Rules(window_s=0, policies=hpa.HPA_SCALE_DOWN_POLICIES, tolerance=0.05),
            id="a given block does not touch the other one",
        ),
        pytest.param(
            Behavior(
                scale_up=ScalingRules(
                    policies=(ScalingPolicy(type="Pods", value=1, period_seconds=60),)
                )
            ),
            hpa.Rules(
                window_s=0,
                policies=(ScalingPolicy(type="Pods", value=1, period_seconds=60),),
                tolerance=0.1,
            ),
            hpa.Rules(window_s=60),
            id="given policies replace the default ones",
        ),
    ],
)
def test_what_is_left_out_takes_a_default(
    behavior: Behavior, up: hpa.Rules, down: hpa.Rules
) -> None:
    assert hpa.rules_up(behavior) == up
    assert hpa.rules_down(behavior) == down


def test_a_held_number_says_when_its_window_ends() -> None:
    up, down = hpa.Rules(window_s=0), hpa.Rules(window_s=60)
    recommendations = ((100.0, 9), (130.0, 7), (140.0, 2))
    assert hpa.stabilize(3, 9, recommendations, 145.0, up, down) == (9, hpa.Stabilized.DOWN)
    assert hpa.stabilized_until(3, recommendations, 145.0, up, down) == 160.0
    assert hpa.stabilize(3, 9, recommendations, 160.0, up, down) == (7, hpa.Stabilized.DOWN)
    assert hpa.stabilized_until(3, recommendations, 160.0, up, down) == 190.0
    assert hpa.stabilized_until(3, recommendations, 190.0, up, down) is None


def test_waking_at_the_end_of_a_window_finds_it_over_whatever_the_fractions() -> None:
    down = hpa.Rules(window_s=60)
    for tenths in range(200):
        at = 1_764_000_000 + tenths / 10
        until = hpa.stabilized_until(1, ((at, 5),), at + 1, hpa.Rules(window_s=0), down)
        assert until is not None
        assert hpa.stabilize(1, 5, ((at, 5),), until, hpa.Rules(window_s=0), down)[0] == 1


# --- beside a plain model of the controller -------------------------------------------


@dataclass
class PlainHpa:
    """The controller's bookkeeping, written from its description and kept naive.

    It keeps every recommendation, and stores events in place of the last outdated one.
    """

    up: hpa.Rules
    down: hpa.Rules
    recommendations: list[tuple[float, int]] = field(default_factory=list)
    ups: list[tuple[float, int]] = field(default_factory=list)
    downs: list[tuple[float, int]] = field(default_factory=list)

    def sync(self, now: float, current: int, low: int, high: int, amount: int, per: int) -> int:
        if not self.recommendations:
            self.recommendations.append((now, current))
        if current > high or current < low:
            wanted = high if current > high else low
        else:
            ratio = amount / (per * current)
            inside = 1.0 - self.down.tolerance <= ratio <= 1.0 + self.up.tolerance
            raw = current if inside else math.ceil(amount / per)
            wanted = self.rate(self.stabilize(raw, current, now), current, low, high, now)
            self.recommendations.append((now, raw))
        if wanted > current:
            self.store(self.ups, now, wanted - current, self.up)
        if wanted < current:
            self.store(self.downs, now, current - wanted, self.down)
        return wanted

    def stabilize(self, raw: int, current: int, now: float) -> int:
        recent_up = [v for t, v in self.recommendations if t > now - self.up.window_s]
        recent_down = [v for t, v in self.recommendations if t > now - self.down.window_s]
        lowest, highest = min([raw, *recent_up]), max([raw, *recent_down])
        return min(max(current, lowest), highest)

    def rate(self, wanted: int, current: int, low: int, high: int, now: float) -> int:
        if wanted > current:
            return min(wanted, high, max(current, self.limit(self.up, +1, current, now)))
        if wanted < current:
            return max(wanted, low, min(current, self.limit(self.down, -1, current, now)))
        return wanted

    def limit(self, rules: hpa.Rules, sign: int, current: int, now: float) -> int:
        if rules.select == "Disabled":
            return current
        proposed = []
        for policy in rules.policies:
            since = now - policy.period_seconds
            start = current - sum(c for t, c in self.ups if t > since)
            start += sum(c for t, c in self.downs if t > since)
            if policy.type == "Pods":
                proposed.append(start + sign * policy.value)
            elif sign > 0:
                proposed.append(math.ceil(start * (1 + policy.value / 100)))
            else:
                proposed.append(math.trunc(start * (1 - policy.value / 100)))
        return max(proposed) if (rules.select == "Max") == (sign > 0) else min(proposed)

    def store(
        self, events: list[tuple[float, int]], now: float, change: int, rules: hpa.Rules
    ) -> None:
        longest = max(policy.period_seconds for policy in rules.policies)
        outdated = [i for i, (t, _) in enumerate(events) if t < now - longest]
        if outdated:
            events[outdated[-1]] = (now, change)
        else:
            events.append((now, change))


policies = st.lists(
    st.builds(
        # Not the class itself: its signature shows the outside names as required.
        lambda **fields: ScalingPolicy(**fields),
        type=st.sampled_from(["Pods", "Percent"]),
        value=st.integers(1, 120),
        period_seconds=st.integers(1, 60),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
scaling_rules = st.builds(
    ScalingRules,
    stabilization_window_seconds=st.none() | st.integers(0, 60),
    select_policy=st.sampled_from(["Max", "Max", "Min", "Disabled"]),
    policies=st.none() | policies,
    tolerance=st.none() | st.sampled_from(["0", "0.05", "500m"]),
)
behaviors = st.builds(Behavior, scale_up=scaling_rules, scale_down=scaling_rules)
syncs = st.lists(
    st.tuples(
        st.integers(1, 25),  # seconds since the last sync
        st.integers(0, 400),  # messages
        st.sampled_from([None] * 9 + [3, 17]),  # somebody scales by hand
    ),
    min_size=1,
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(behaviors, syncs, st.integers(1, 5), st.integers(5, 30), st.integers(1, 20))
def test_a_fleet_with_a_given_behavior_moves_as_an_hpa_would(
    behavior: Behavior, timeline: list[tuple[int, int, int | None]], low: int, high: int, start: int
) -> None:
    spec = TaskQueueSpec.model_validate(
        {
            "queues": ["q"],
            "scaling": {
                "minReplicas": low,
                "maxReplicas": high,
                "target": {"backlogPerReplica": 10},
                "behavior": behavior,
            },
        }
    )
    plain = PlainHpa(hpa.rules_up(behavior), hpa.rules_down(behavior))
    history = History()
    now, replicas, before = 100_000, start, 0
    for elapsed, messages, by_hand in timeline:
        now += elapsed
        if by_hand not in (None, before):  # back to before looks as if nothing had happened
            replicas = by_hand
        before = replicas
        observation = Observation(
            at=now,
            queues=(QueueView(name="q", length=messages),),
            replicas=replicas,
            in_flight=0,
            workers_report=False,
        )
        decision = decide(spec, observation, history, now)
        expected = plain.sync(now, replicas, low, high, messages, 10)
        assert decision.replicas == expected, (now, decision.sentence)
        history, replicas = decision.history, decision.replicas


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(0, 12)), max_size=40),
    st.integers(0, 60),
    st.integers(0, 60),
    st.integers(0, 12),
)
def test_forgetting_recommendations_never_changes_an_answer(
    stream: list[tuple[int, int]], up_s: int, down_s: int, current: int
) -> None:
    up, down = hpa.Rules(window_s=up_s), hpa.Rules(window_s=down_s)
    everything: list[hpa.Timed] = []
    kept: tuple[hpa.Timed, ...] = ()
    now = 0
    for elapsed, value in stream:
        now += elapsed
        assert hpa.stabilize(value, current, kept, now, up, down) == hpa.stabilize(
            value, current, everything, now, up, down
        )
        everything.append((now, value))
        kept = hpa.remember(kept, now, value, up, down)
        assert len({number for _, number in kept}) * 2 >= len(kept)
