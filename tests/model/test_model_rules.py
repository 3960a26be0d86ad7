"""No rule is there for nothing: without any one of them the checker finds what goes wrong."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest
from protocol import properties
from protocol.checker import Counterexample, explore
from protocol.configurations import CONFIGURATIONS
from protocol.properties import Goal, Safety
from protocol.rules import Rules

PAGE = Path(__file__).resolve().parents[2] / "docs/explanation/protocol.md"

WHAT_BREAKS: dict[str, list[tuple[str, Safety | Goal]]] = {
    "late_replies_are_read": [
        ("today-drain", properties.EVERY_MESSAGE_ENDS),
    ],
    "late_replies_are_pushed_once": [
        ("today-cut", properties.no_two_have_it_by_our_doing),
    ],
    "drained_waits_for_the_reply": [
        ("today-drain", properties.the_drained_hold_nothing),
    ],
    "receipts": [
        ("today-crash", properties.nothing_is_taken_from_the_living),
        ("recovery", properties.no_two_have_it_by_our_doing),
        ("beside", properties.nothing_is_taken_from_the_living),
    ],
    "leases_end": [
        ("today-drain", properties.NOBODY_IDLES_FOR_EVER),
        ("today-drain", properties.EVERY_MESSAGE_ENDS),
    ],
    "stopping_is_final": [
        ("today-drain", properties.WHOEVER_IS_TOLD_TO_GO_LEAVES),
    ],
    "settles_after_silence": [
        ("today-cut", properties.EVERY_MESSAGE_ENDS),
        ("take", properties.EVERY_MESSAGE_ENDS),
        ("drain-cut", properties.the_drained_hold_nothing),
        ("death", properties.only_owners_start),
    ],
    "settling_ends_older_takes": [
        ("take", properties.EVERY_MESSAGE_ENDS),
        ("drain-cut", properties.the_drained_hold_nothing),
    ],
    "runs_survive_a_cut": [
        ("today-cut", properties.no_two_have_it_by_our_doing),
        ("take", properties.no_two_have_it_by_our_doing),
    ],
    "renews_what_it_holds": [
        ("beside", properties.only_owners_start),
    ],
    "proof_is_the_containers_end": [
        ("death", properties.no_two_have_it_by_our_doing),
    ],
    "deletion_proves_nothing": [
        ("deletion", properties.no_two_have_it_by_our_doing),
    ],
    "recovery_is_one_script": [
        ("recovery", properties.each_message_is_in_one_place),
        ("recovery", properties.no_two_have_it_by_our_doing),
    ],
    "burial_looks_again": [
        ("death", properties.nothing_is_taken_from_the_living),
    ],
    "finished_is_told": [
        ("results", properties.the_finished_is_not_given_back),
    ],
    "blames_only_crashes": [
        ("poison", properties.only_poison_dies),
    ],
    "suspects_run_alone": [
        ("poison", properties.only_poison_dies),
        ("suspects", properties.only_poison_dies),
    ],
    "suspects_stay_in_their_list": [
        ("suspects", properties.only_poison_dies),
    ],
    "parks_while_stood_by": [
        ("stands-by", properties.nothing_is_parked_for_nobody),
    ],
    "parks_the_future": [
        ("future", properties.FAR_WORK_LETS_A_FLEET_REST),
    ],
    "release_is_one_script": [
        ("future", properties.each_message_is_in_one_place),
    ],
    "counts_who_is_going": [
        ("leaders", properties.nobody_goes_unasked),
    ],
    "recalls_who_stays": [
        ("leaders", properties.nobody_goes_unasked),
    ],
    "lowering_carries_its_version": [
        ("leaders", properties.nobody_goes_unasked),
    ],
    "takeover_writes_first": [
        ("leaders", properties.nobody_goes_unasked),
    ],
    "leases_carry_the_epoch": [
        ("leaders", properties.nobody_goes_unasked),
    ],
}
"""Rule → the worlds in which it is needed, and what its absence breaks there."""

CASES = [(rule, *case) for rule, cases in WHAT_BREAKS.items() for case in cases]


def counterexample(rule: str, configuration: str, broken: Safety | Goal) -> Counterexample | None:
    """What is found in that world when the rule is left out and only that is asked."""
    world = CONFIGURATIONS[configuration].world
    world = replace(world, rules=world.rules.without(rule))
    if isinstance(broken, Goal):
        return explore(world, goals=[broken]).counterexample
    return explore(world, [broken]).counterexample


@pytest.mark.parametrize(
    ("rule", "configuration", "broken"),
    CASES,
    ids=[f"{rule}-{configuration}" for rule, configuration, _ in CASES],
)
def test_without_this_rule_something_breaks(
    rule: str, configuration: str, broken: Safety | Goal
) -> None:
    assert counterexample(rule, configuration, broken) is not None


def test_every_rule_has_been_left_out_once() -> None:
    assert set(WHAT_BREAKS) == {rule.name for rule in fields(Rules)}


@pytest.mark.parametrize("rule", [rule.name for rule in fields(Rules)])
def test_the_page_gives_the_reason_of_every_rule(rule: str) -> None:
    assert f"`{rule}`" in PAGE.read_text()
