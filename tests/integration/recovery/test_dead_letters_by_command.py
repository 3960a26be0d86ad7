"""`sluiceway dead`: what was given up is found, shown, given out again or forgotten."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from sluiceway.cli.main import app
from sluiceway.cli.output import CommandError


@pytest.fixture
def dead(shop: Any, redis_server: Any) -> Any:
    """``dead("list", …)``: the lines that it writes."""

    def dead(*words: str) -> list[str]:
        where = ["--url", redis_server.url, "--prefix", shop.prefix]
        result = CliRunner().invoke(app, ["dead", *words, *where])
        if result.exception is not None:
            raise result.exception
        return result.stdout.splitlines()

    return dead


@pytest.fixture
def died(shop: Any) -> Any:
    """A task whose three workers died; its id."""

    def died(**options: Any) -> str:
        task = shop.send(**options)
        for n in range(3):
            shop.take(f"w{n}:{task[:4]}")
            shop.recover(f"w{n}:{task[:4]}", reason="OOMKilled", at=1_764_000_000.0 + n)
        return str(task)

    return died


def test_each_is_a_line_with_its_task_its_list_and_how_it_died(dead: Any, died: Any) -> None:
    task = died()
    (line,) = dead("list")
    for part in (task, "shop.work", "work", "3 deaths", "OOMKilled", "2025-11-24T16:00:02Z"):
        assert part in line
    assert dead("list", "-q", "shop/work") == [line]
    assert dead("list", "-q", "shop/other") == []


def test_arguments_are_shown_only_where_they_are_asked_for(dead: Any, died: Any) -> None:
    task = died()
    shown = json.loads("\n".join(dead("show", task[:8], "-o", "json")))
    assert [death["worker"] for death in shown["deaths"]] == ["w0", "w1", "w2"]
    assert "message" not in shown
    asked = json.loads("\n".join(dead("show", task, "--message", "-o", "json")))
    assert json.loads(asked["message"])["headers"]["id"] == task
    assert any("OOMKilled" in line for line in dead("show", task))


def test_a_released_one_is_published_anew_with_id_arguments_and_history(
    dead: Any, died: Any, shop: Any
) -> None:
    task = died()
    assert dead("release", task)[-1] == "1 released"
    (raw,) = shop.waiting()
    message = json.loads(raw)
    assert message["headers"]["id"] == task
    assert len(message["headers"]["sluiceway_deaths"]) == 3
    assert dead("list") == []
    # It has all its lives again.
    for n in range(2):
        shop.take(f"v{n}:1")
        assert shop.recover(f"v{n}:1").dead == 0


def test_only_those_that_are_named_are_touched(dead: Any, died: Any, shop: Any) -> None:
    one, other = died(), died()
    assert dead("drop", one)[-1] == "1 dropped"
    assert [line.split()[1] for line in dead("list")] == [other]
    assert dead("release", "--all")[-1] == "1 released"
    assert shop.ids() == [other]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["release"], "release which"),
        (["drop", "a1", "--all"], "no ids"),
        (["show", "nobody"], "no dead letter of nobody"),
        (["drop", ""], "an id is empty"),
        (["drop", "a"], "2 ids begin with a"),
        (["drop", "a1", "nobody"], "no dead letter of nobody"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_changes_nothing(
    dead: Any, died: Any, words: Any, said: str
) -> None:
    died(task_id="a1")
    died(task_id="a2")
    with pytest.raises(CommandError, match=said):
        dead(*words)
    assert len(dead("list")) == 2


def test_one_whose_id_begins_another_s_can_be_named(dead: Any, died: Any) -> None:
    for task in ("a", "ab"):
        died(task_id=task)
    assert dead("drop", "a")[-1] == "1 dropped"
    (line,) = dead("list")
    assert line.split()[1] == "ab"


def test_arguments_are_told_as_they_were_given(dead: Any, died: Any) -> None:
    died(kwargs={"to": ["you", 1.5]})
    assert '  arguments: ["secret"] {"to": ["you", 1.5]}' in dead("show", "--message")


def test_many_are_all_found(dead: Any, died: Any) -> None:
    tasks = {died() for _ in range(120)}
    assert {line.split()[1] for line in dead("list")} == tasks
