"""The command that explores by hand."""

from __future__ import annotations

import pytest
from explore import main


def test_a_world_in_which_all_is_well_is_told_in_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["take", "--messages", "1", "--crashes", "0", "--cuts", "0"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("take: 8 states, ")


def test_a_rule_left_out_prints_how_it_goes_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["take", "--messages", "1", "--without", "settles_after_silence"]) == 1
    assert "loses its connection before the answer" in capsys.readouterr().out


def test_a_world_larger_than_allowed_has_an_exit_code_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["drain", "--at-most", "100"]) == 2
    assert "more than 100 states" in capsys.readouterr().out
