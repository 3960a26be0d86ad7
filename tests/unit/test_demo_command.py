"""How `sluiceway demo` ends: its exit codes, and what it prints where."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from sluiceway.cli.demo import demo
from sluiceway.cli.output import CommandError, ExitCode, Output
from sluiceway.demo import story
from sluiceway.demo.figures import Figures, Spread
from sluiceway.demo.tally import Tally
from sluiceway.local.server import NoServerError


def figures(lost: int) -> Figures:
    spread = Spread.of([1.0])
    tally = Tally(published=4, finished=4 - lost, failed=0, lost=lost, run_twice=0)
    return Figures(
        page_calm=spread,
        page_before=spread,
        page_after=spread,
        pages_failed=0,
        click_before=spread,
        click_after=spread,
        pdf_before=spread,
        pdf_after=spread,
        export_cost_s=1.0,
        asked_within_s=None,
        started_within_s=None,
        exports=tally,
        emails=tally,
        all_tasks=tally,
        exports_waited=spread,
        emails_waited=spread,
        export_workers=(0, 4, 0),
        export_worker_seconds=9.0,
        email_worker_seconds=9.0,
    )


def playing(monkeypatch: pytest.MonkeyPatch, outcome: Figures | BaseException) -> list[Any]:
    """Put this outcome in place of a show; the list takes what shows were asked for."""
    asked: list[Any] = []

    async def play(sizes: Any, teller: Any, target: Path) -> Figures:
        asked.append((sizes, target))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(story, "play", play)
    return asked


def test_a_show_without_a_loss_ends_well_and_its_figures_are_json_where_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = playing(monkeypatch, figures(lost=0))
    demo(clicks=7, seed=3, output_dir=Path("elsewhere"), output=Output.JSON)
    printed = json.loads(capsys.readouterr().out)
    assert printed["all_tasks"]["published"] == 4
    assert printed["asked_within_s"] is None
    ((sizes, target),) = asked
    assert (sizes.clicks, sizes.seed, target) == (7, 3, Path("elsewhere"))


def test_a_lost_task_is_exit_code_1(monkeypatch: pytest.MonkeyPatch) -> None:
    playing(monkeypatch, figures(lost=1))
    with pytest.raises(typer.Exit) as caught:
        demo()
    assert caught.value.exit_code == ExitCode.PROBLEMS == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), asyncio.CancelledError()])
def test_a_show_that_was_stopped_is_exit_code_130(
    monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    playing(monkeypatch, stop)
    with pytest.raises(typer.Exit) as caught:
        demo()
    assert caught.value.exit_code == 130


def test_a_missing_server_is_one_line_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    playing(monkeypatch, NoServerError("no Redis-compatible server is installed"))
    with pytest.raises(CommandError, match="no Redis-compatible server") as caught:
        demo()
    assert caught.value.code is ExitCode.UNAVAILABLE


def test_without_the_demos_own_parts_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "sluiceway.demo.story")
    monkeypatch.setitem(sys.modules, "sluiceway_sample.report", None)
    with pytest.raises(CommandError, match=r"pip install 'sluiceway\[demo\]'") as caught:
        demo()
    assert caught.value.code is ExitCode.UNAVAILABLE
