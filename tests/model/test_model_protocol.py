"""With all rules kept, nothing goes wrong in any of the worlds, whatever happens in them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from protocol.checker import STEPS, Exploration, explore
from protocol.configurations import CONFIGURATIONS
from protocol.tables import row

PAGE = Path(__file__).resolve().parents[2] / "docs/explanation/protocol.md"


@cache
def explored(name: str) -> Exploration:
    """Each world is explored once, for all tests of this file."""
    configuration = CONFIGURATIONS[name]
    return explore(configuration.world, configuration.safety, configuration.goals)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_protocol_holds_in_every_state_and_has_no_dead_end(name: str) -> None:
    assert str(explored(name).counterexample) == "None"


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_the_page_says_how_much_was_explored(name: str) -> None:
    """``python tests/model/explore.py --table`` prints the rows anew."""
    assert row(name, CONFIGURATIONS[name], explored(name)) in PAGE.read_text()


def test_every_step_of_the_model_happens_in_some_world() -> None:
    happened = {step for name in CONFIGURATIONS for step in explored(name).taken}
    assert {step.__name__ for step in STEPS} == happened
