"""`sluiceway check` and `sluiceway crd`: lines for people, JSON for programs, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
import yaml
from click.testing import Result
from typer.testing import CliRunner

from sluiceway.api.crd import crds
from sluiceway.cli.check import check
from sluiceway.cli.crd import crd
from sluiceway.cli.output import CommandError

GOOD = """
apiVersion: sluiceway.dev/v1alpha1
kind: TaskQueue
metadata: {name: exports}
spec:
  broker: {url: redis://redis:6379/0}
  worker: {app: shop.tasks, image: i}
"""
BAD = GOOD.replace("image: i", "image: i, pool: thread, concurency: 2")
SECRET = "\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: redis}\n"


def run(*args: str, stdin: str | None = None) -> Result:
    app = typer.Typer()
    app.command("check")(check)
    app.command("crd")(crd)
    return CliRunner().invoke(app, args, input=stdin)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "good.yaml").write_text(GOOD + SECRET, encoding="utf-8")
    (tmp_path / "bad.yaml").write_text(BAD, encoding="utf-8")
    (tmp_path / "broken.yaml").write_text("a: [", encoding="utf-8")
    (tmp_path / "secret.yaml").write_text(SECRET, encoding="utf-8")
    return tmp_path


def test_a_good_file_gets_a_summary_and_exit_code_0(files: Path) -> None:
    result = run("check", "-f", str(files / "good.yaml"))

    assert result.exit_code == 0
    assert result.stdout == "1 object, 0 problems, 0 warnings; not looked at: 1 Secret\n"


def test_each_problem_gets_a_line_with_file_object_path_and_mend(files: Path) -> None:
    bad = files / "bad.yaml"

    result = run("check", "-f", str(files / "good.yaml"), "-f", str(bad))

    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f'{bad}: TaskQueue/exports: spec.worker.pool: Invalid value: "thread": must be one of '
        "prefork, solo, threads, gevent: did you mean threads?",
        f"{bad}: TaskQueue/exports: spec.worker.concurency: Unknown field: "
        "did you mean concurrency?",
        "2 objects, 2 problems, 0 warnings; not looked at: 1 Secret",
    ]


def test_files_may_follow_the_option_as_a_shell_expands_them(files: Path) -> None:
    result = run("check", "-f", str(files / "good.yaml"), str(files / "bad.yaml"))

    assert result.exit_code == 1
    assert "2 objects" in result.stdout


def test_a_folder_stands_for_its_yaml_files(files: Path) -> None:
    (files / "broken.yaml").unlink()
    (files / "notes.txt").write_text("{", encoding="utf-8")

    assert "2 objects, 2 problems" in run("check", "-f", str(files)).stdout


def test_standard_input_is_read_with_a_dash() -> None:
    result = run("check", "-f", "-", stdin=BAD)

    assert result.exit_code == 1
    assert result.stdout.startswith("<stdin>: TaskQueue/exports: ")


def test_a_file_that_is_not_yaml_gets_exit_code_2_and_the_others_are_checked(files: Path) -> None:
    result = run("check", "-f", str(files / "broken.yaml"), "-f", str(files / "bad.yaml"))

    assert result.exit_code == 2
    assert f"{files / 'broken.yaml'}:1:5: not YAML" in result.stdout
    assert "1 object, 2 problems, 0 warnings, 1 unreadable file" in result.stdout


def test_a_file_that_is_not_there_gets_exit_code_2(tmp_path: Path) -> None:
    result = run("check", "-f", str(tmp_path / "nowhere.yaml"))

    assert result.exit_code == 2
    assert "nowhere.yaml: cannot be read: No such file or directory" in result.stdout


def test_a_check_of_nothing_is_no_success(files: Path) -> None:
    result = run("check", "-f", str(files / "secret.yaml"))

    assert result.exit_code == 1
    assert "no TaskQueue or WorkerClass found" in result.stdout
    assert isinstance(run("check").exception, CommandError)


def test_warnings_are_told_and_change_no_exit_code() -> None:
    result = run("check", "-f", "-", stdin=GOOD.replace("redis:6379", "a:hunter2@redis:6379"))

    assert result.exit_code == 0
    assert "spec.broker.url: Warning: a password stands in plain text" in result.stdout
    assert "hunter2" not in result.stdout
    assert "1 object, 0 problems, 1 warning" in result.stdout


def test_local_asks_for_less(files: Path) -> None:
    local = GOOD.replace(", image: i", "").replace("broker: {url: redis://redis:6379/0}", "")

    assert run("check", "-f", "-", stdin=local).exit_code == 1
    assert run("check", "--local", "-f", "-", stdin=local).exit_code == 0


def test_json_has_everything_a_program_needs(files: Path) -> None:
    result = run("check", "-f", str(files / "bad.yaml"), "--output", "json")

    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert answer["objects"] == 1
    assert answer["problems"][0] == {
        "file": str(files / "bad.yaml"),
        "object": "TaskQueue/exports",
        "path": "spec.worker.pool",
        "why": "Invalid value",
        "value": "thread",
        "message": "must be one of prefork, solo, threads, gevent: did you mean threads?",
    }
    assert answer["warnings"] == []
    assert answer["unreadable"] == []
    assert answer["skipped"] == {}


def test_the_crds_are_printed_as_one_stream() -> None:
    result = run("crd")

    names = [crd["metadata"]["name"] for crd in yaml.safe_load_all(result.stdout)]
    assert result.exit_code == 0
    assert names == ["taskqueues.sluiceway.dev", "workerclasses.sluiceway.dev"]


def test_the_crds_are_written_to_a_folder_that_is_made_for_them(tmp_path: Path) -> None:
    result = run("crd", "--output-dir", str(tmp_path / "new"))

    assert result.exit_code == 0
    written = {path.stem: path.read_text(encoding="utf-8") for path in (tmp_path / "new").iterdir()}
    assert written == crds()


def test_a_folder_that_cannot_be_made_is_said_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    result = run("crd", "--output-dir", str(tmp_path / "file"))

    assert isinstance(result.exception, CommandError)
    assert "cannot be written" in str(result.exception)
