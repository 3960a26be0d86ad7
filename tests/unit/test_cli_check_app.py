"""`sluiceway check -A app`: formats, exit codes, and what cannot be meant."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from sluiceway.cli import check_app as command
from sluiceway.cli.check import check
from sluiceway.cli.output import CommandError, ExitCode
from sluiceway.guardrails.facts import App
from sluiceway.guardrails.loading import LoadError, NoCeleryError, load_app

APPS = Path(__file__).resolve().parents[1] / "data" / "apps"


@pytest.fixture(scope="module")
def loaded() -> dict[str, App]:
    """Each application is loaded once; loading itself has tests of its own."""
    return {name: load_app(name, workdir=APPS) for name in ("abroad", "careless.tasks")}


@pytest.fixture(autouse=True)
def _loads(loaded: dict[str, App], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load_app", lambda name, **_: loaded[name])


def run(*args: str) -> Result:
    app = typer.Typer()
    app.command()(check)
    return CliRunner().invoke(app, ["--workdir", str(APPS), *args])


def test_findings_are_lines_as_compilers_write_them_and_a_sum() -> None:
    result = run("-A", "abroad")

    first, *_, last = result.stdout.splitlines()
    assert result.exit_code == ExitCode.PROBLEMS
    assert first == (
        "abroad.py:5: error: broker_url is amqp://: Sluiceway reads the queues of Celery on Redis "
        "and of no other broker: set broker_url to redis://, rediss:// or sentinel:// "
        "[broker-not-redis]"
    )
    assert last == "abroad: 1 task in 1 file: 1 error, 1 warning, 0 notes"


def test_warnings_and_notes_fail_only_where_that_is_asked_for() -> None:
    accepted = ("-A", "abroad", "--ignore", "broker-not-redis")

    assert run(*accepted).exit_code == ExitCode.OK
    assert run(*accepted, "--fail-on", "warning").exit_code == ExitCode.PROBLEMS
    assert run(*accepted).stdout.splitlines()[-1].endswith("0 notes; 1 accepted")


def test_json_has_file_line_rule_and_mend_of_each_finding() -> None:
    told = json.loads(run("-A", "abroad", "--format", "json").stdout)

    assert told["app"] == "abroad"
    assert told["findings"][0] == {
        "rule": "broker-not-redis",
        "severity": "error",
        "file": "abroad.py",
        "line": 5,
        "task": None,
        "what": "broker_url is amqp://",
        "reason": "Sluiceway reads the queues of Celery on Redis and of no other broker",
        "mend": "set broker_url to redis://, rediss:// or sentinel://",
    }


def test_sarif_has_every_rule_and_a_place_for_each_finding_and_what_is_accepted() -> None:
    told = json.loads(run("-A", "abroad", "-o", "sarif", "--ignore", "acks-late-lost").stdout)

    (one,) = told["runs"]
    rules = {rule["id"]: rule for rule in one["tool"]["driver"]["rules"]}
    first, second = one["results"]
    assert told["version"] == "2.1.0"
    assert first["ruleId"] in rules
    assert first["level"] == rules[first["ruleId"]]["defaultConfiguration"]["level"] == "error"
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "abroad.py"},
        "region": {"startLine": 5},
    }
    assert "suppressions" not in first
    assert second["suppressions"] == [{"kind": "inSource"}]


def test_junit_fails_for_what_makes_the_exit_code_1_and_passes_for_the_rest() -> None:
    suites = ElementTree.fromstring(run("-A", "abroad", "-o", "junit").stdout)

    (failure,) = suites.iter("failure")
    (output,) = suites.iter("system-out")
    assert suites.get("failures") == "1"
    assert int(suites.get("tests", "")) == len(list(suites.iter("testcase")))
    assert str(failure.get("message")).startswith("broker_url is amqp://: ")
    assert str(output.text).startswith("abroad.py:7: task_acks_late is set alone: ")


def test_files_and_application_together_are_held_against_each_other() -> None:
    queues = str(APPS / "careless" / "queues.yaml")

    result = run("-A", "careless.tasks", "-f", queues)

    assert "careless/queues.yaml:12: error: TaskQueue/celery: spec.worker.longestTask is 20m" in (
        result.stdout
    )


def test_files_with_problems_are_told_first_and_alone(tmp_path: Path) -> None:
    wrong = tmp_path / "queues.yaml"
    wrong.write_text("apiVersion: sluiceway.dev/v1alpha1\nkind: TaskQueue\n", encoding="utf-8")

    result = run("-A", "abroad", "-f", str(wrong), "-o", "sarif")

    assert result.exit_code == ExitCode.PROBLEMS
    assert result.stdout == ""
    assert "1 object, " in result.stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [(LoadError("-A shop: no"), ExitCode.USAGE), (NoCeleryError("no"), ExitCode.UNAVAILABLE)],
    ids=["a broken application", "no Celery"],
)
def test_an_application_that_cannot_be_loaded_has_an_exit_code_of_its_own(
    error: LoadError, code: ExitCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> App:
        raise error

    monkeypatch.setattr(command, "load_app", fail)

    result = run("-A", "shop")

    assert isinstance(result.exception, CommandError)
    assert result.exception.code == code


def test_sarif_of_files_alone_is_refused_with_what_to_write() -> None:
    result = run("-f", str(APPS / "careless" / "queues.yaml"), "-o", "sarif")

    assert str(result.exception) == "--output sarif needs -A: files are told as text or json"
