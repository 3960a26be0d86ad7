"""`sluiceway` at the command line: what a user can mend is a line and an exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sluiceway.cli.main import COMMANDS
from sluiceway.decide.decision import Reason, Step
from sluiceway.decide.observation import QueueView
from sluiceway.local.rundir import RunFolder, running_stories, runtime_folder
from sluiceway.report.conditions import Condition, Verdict
from sluiceway.report.status import FleetStatus, Workers
from sluiceway.report.story import FleetStory, Story

QUEUE = """\
apiVersion: sluiceway.dev/v1alpha1
kind: TaskQueue
metadata: {name: video}
spec:
  worker: {app: tasks}
"""


def sluiceway(
    *arguments: str, cwd: Path | None = None, runtime: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command as a user would."""
    env = {**os.environ, "COLUMNS": "100"}
    if runtime is not None:
        env["XDG_RUNTIME_DIR"] = str(runtime)
    return subprocess.run(
        [sys.executable, "-m", "sluiceway", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        check=False,
    )


def one_line(told: subprocess.CompletedProcess[str]) -> str:
    """The one line that a failed command says; nothing went to standard output."""
    assert told.stdout == ""
    (line,) = told.stderr.splitlines()
    return line


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: [", "video.yaml"),
        (QUEUE.replace("worker:", "wroker:"), "wroker"),
        (QUEUE + "  scaling: {minReplicas: 9, maxReplicas: 1}\n", "minReplicas"),
        (QUEUE + "  broker: {url: 'amqp://rabbit'}\n", "amqp"),
        ("kind: ConfigMap\napiVersion: v1\nmetadata: {name: x}\n", "no TaskQueue to run"),
    ],
    ids=[
        "no YAML",
        "an unknown field",
        "limits the wrong way round",
        "not Redis",
        "nothing to run",
    ],
)
def test_a_file_that_cannot_be_run_is_told_without_a_traceback(
    text: str, says: str, tmp_path: Path
) -> None:
    (tmp_path / "video.yaml").write_text(text)

    told = sluiceway("local", "-f", "video.yaml", cwd=tmp_path)

    assert told.returncode == 2
    assert all(line.startswith("sluiceway: ") for line in told.stderr.splitlines())
    assert says in told.stderr
    assert "Traceback" not in told.stderr


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    told = sluiceway("local", "-f", "nowhere.yaml", cwd=tmp_path)

    assert told.returncode == 2
    assert "nowhere.yaml" in one_line(told)


def test_a_taskqueue_that_stands_twice_is_one_line(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(QUEUE)

    told = sluiceway("local", "-f", "a.yaml", "-f", "b.yaml", cwd=tmp_path)

    assert told.returncode == 2
    assert one_line(told) == "sluiceway: b.yaml: TaskQueue default/video stands twice"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--broker", "redis://h", "--embedded"), "exclude each other"),
        (("--broker", "nonsense"), "scheme"),
        (("--python", "/nowhere/python"), "there is no program /nowhere/python"),
    ],
)
def test_options_that_cannot_be_are_one_line(
    options: tuple[str, ...], says: str, tmp_path: Path
) -> None:
    (tmp_path / "video.yaml").write_text(QUEUE)

    told = sluiceway("local", "-f", "video.yaml", *options, cwd=tmp_path)

    assert told.returncode == 2
    assert says in one_line(told)


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (
            ("operator", "--address", "8080"),
            "sluiceway: --address: 8080 is no address to listen on; write :8080 for all "
            "interfaces, or 127.0.0.1:8080",
        ),
        (
            ("convert", "-f", "noise.yaml"),
            "sluiceway: noise.yaml: cannot be read: it is not UTF-8 text",
        ),
    ],
    ids=["operator", "convert"],
)
def test_what_is_given_to_another_command_and_cannot_be_is_one_line_too(
    command: tuple[str, ...], line: str, tmp_path: Path
) -> None:
    (tmp_path / "noise.yaml").write_bytes(b"\xff\xfe")

    told = sluiceway(*command, cwd=tmp_path)

    assert (told.returncode, one_line(told)) == (2, line)


def test_a_broker_s_password_is_never_told(tmp_path: Path) -> None:
    (tmp_path / "video.yaml").write_text(QUEUE)

    told = sluiceway(
        "local", "-f", "video.yaml", "--broker", "redis://:s3cret/x@host/zero", cwd=tmp_path
    )

    assert told.returncode == 2
    assert "s3cret" not in told.stderr


def test_a_name_that_no_terminal_can_show_is_shown_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "video.yaml").write_text(QUEUE.replace("video", r'"\ud800"'))

    told = sluiceway("check", "--local", "-f", "video.yaml", cwd=tmp_path)

    assert (told.returncode, told.stderr) == (1, "")
    assert r"TaskQueue/\ud800" in told.stdout


def test_debug_of_two_applications_names_both(tmp_path: Path) -> None:
    other = QUEUE.replace("video", "mail").replace("app: tasks", "app: mailer")
    (tmp_path / "both.yaml").write_text(f"{QUEUE}---\n{other}")

    told = sluiceway("local", "-f", "both.yaml", "--debug", cwd=tmp_path)

    assert told.returncode == 2
    assert "2 applications (tasks, mailer)" in one_line(told)


def test_explain_says_how_to_start_what_it_asks_and_which_cluster_it_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))

    told = sluiceway("explain", runtime=tmp_path)

    assert told.returncode == 3
    assert one_line(told).startswith(
        "sluiceway: no local mode is running (start one with sluiceway local -f queues.yaml), "
        f"and no cluster can be asked: kubeconfig {tmp_path}/absent cannot be used"
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_the_exit_codes(command: str) -> None:
    told = sluiceway(command, "--help")

    assert told.returncode == 0
    assert "Exit codes:" in told.stdout


def test_the_list_of_commands_imports_none_of_them() -> None:
    program = (
        "import sys; sys.argv = ['sluiceway', '--help']\n"
        "from sluiceway.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in sys.modules if m in ('redis', 'pydantic', 'celery', 'matplotlib')])"
    )

    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert told.stdout.splitlines()[-1] == "[]"


def fleet(
    name: str, *queues: str, broker: str | None = None, prefix: str = "", **more: Any
) -> FleetStory:
    now = FleetStatus(
        fleet=f"shop/{name}",
        at=1_000.0,
        queues=tuple(QueueView(name=queue, length=3) for queue in queues),
        waiting=3,
        oldest_wait_s=1.0,
        in_flight=0,
        scheduled=0,
        arrival_rate_per_s=None,
        mean_run_time_s=None,
        workers_report=True,
        workers=Workers(
            asked=2,
            asked_before=2,
            desired=2,
            ready=1,
            starting=1,
            draining=0,
            silent=0,
            asked_to_drain=0,
        ),
        reason=Reason.MEETING_TARGET,
        sentence="2 workers: 3 waiting tasks.",
        steps=(
            Step(name="demand", replicas=None, sentence="3 waiting."),
            Step(name="limits", replicas=2, sentence="Between 0 and 2."),
        ),
        conditions=(
            Condition(
                type="Waking",
                status=Verdict.FALSE,
                reason="Polling",
                message="polling, because a proxy refuses it",
                since=900.0,
            ),
        ),
        **more,
    )
    return FleetStory(now=now, changes=(now,), broker=broker, prefix=prefix)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunFolder]:
    """A local mode that says it runs, as this process."""
    parent = tmp_path / f"sluiceway-{os.getuid()}"
    parent.mkdir(mode=0o700)
    folder = RunFolder.create(parent)
    yield folder
    folder.close()


def write(run: RunFolder, *fleets: FleetStory) -> None:
    run.write_story(Story(pid=1, broker="redis://here:6379/0", fleets=fleets))


@pytest.mark.parametrize("asked_for", ["shop/video", "video", "tq/video", "clips"])
def test_explain_finds_a_fleet_by_its_key_its_name_and_a_queue_of_it(
    asked_for: str, run: RunFolder, tmp_path: Path
) -> None:
    write(run, fleet("video", "clips", "films"), fleet("mail", "mail"))

    told = sluiceway("explain", asked_for, "--output", "json", runtime=tmp_path)

    (line,) = told.stdout.splitlines()
    assert json.loads(line)["now"]["fleet"] == "shop/video"


def test_explain_tells_the_sentence_the_chain_and_what_does_not_hold(
    run: RunFolder, tmp_path: Path
) -> None:
    write(run, fleet("video", "video"))

    told = sluiceway("explain", runtime=tmp_path).stdout

    lines = [" ".join(line.split()) for line in told.splitlines()]
    assert lines[0] == "shop/video: 2 workers: 3 waiting tasks."
    assert "demand ? 3 waiting." in lines
    assert "limits 2 Between 0 and 2." in lines
    assert any(line.endswith("polling, because a proxy refuses it") for line in lines)


def test_explain_tells_of_a_visibility_timeout_that_is_too_short(
    run: RunFolder, tmp_path: Path
) -> None:
    write(run, fleet("video", "video", timeout_warnings=("the visibility timeout is 60s",)))

    told = sluiceway("explain", runtime=tmp_path).stdout

    assert "  warning: the visibility timeout is 60s" in told.splitlines()


def test_explain_of_a_queue_that_nobody_serves_names_those_that_are_served(
    run: RunFolder, tmp_path: Path
) -> None:
    write(run, fleet("video", "video"))

    told = sluiceway("explain", "vidoe", runtime=tmp_path)

    assert told.returncode == 2
    assert one_line(told) == "sluiceway: no TaskQueue here serves vidoe; there are: shop/video"


@pytest.mark.parametrize("command", ["dead", "eta"])
def test_messages_of_a_local_mode_are_looked_for_in_its_own_broker(
    command: str, run: RunFolder, tmp_path: Path
) -> None:
    video = fleet("video", "clips", broker="redis://127.0.0.1:1/7", prefix="shop:")
    write(run, video, fleet("mail", broker="redis://127.0.0.1:1/8"), fleet("secret"))

    told = one_line(sluiceway(command, "list", "-q", "video", runtime=tmp_path))
    assert told.startswith("sluiceway: broker redis://127.0.0.1:1/7: nothing listens there")
    told = one_line(sluiceway(command, "list", runtime=tmp_path))
    assert "have several brokers" in told
    told = one_line(sluiceway(command, "list", "-q", "secret", runtime=tmp_path))
    assert "give --url" in told


def test_where_no_run_could_be_found_local_mode_says_what_to_set_and_explain_finds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    (tmp_path / f"sluiceway-{os.getuid()}").write_text("a file in its place")
    (tmp_path / "video.yaml").write_text(QUEUE)

    told = sluiceway("local", "-f", "video.yaml", cwd=tmp_path, runtime=tmp_path)

    assert told.returncode == 3
    assert "set XDG_RUNTIME_DIR to a folder that can be written to" in one_line(told)
    assert "no local mode is running" in one_line(sluiceway("explain", runtime=tmp_path))


def test_a_runtime_folder_of_another_session_that_is_gone_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "gone"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    assert runtime_folder() == tmp_path / f"sluiceway-{os.getuid()}"


def test_a_run_that_is_over_is_not_taken_for_a_running_one(run: RunFolder) -> None:
    write(run, fleet("video", "video"))
    assert len(running_stories(run.path.parent)) == 1

    run.close()

    assert running_stories(run.path.parent) == []


def test_a_start_removes_what_a_run_left_that_is_over_and_nothing_else(run: RunFolder) -> None:
    over = RunFolder.create(run.path.parent)
    over.close()

    with_it = RunFolder.create(run.path.parent)

    assert run.path.exists()
    assert not over.path.exists()
    with_it.close()


def test_a_story_that_cannot_be_read_hides_no_other(run: RunFolder) -> None:
    other = RunFolder.create(run.path.parent)
    write(other, fleet("video", "video"))
    (run.path / "story.json").write_text("{")

    assert len(running_stories(run.path.parent)) == 1
    other.close()


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (("local", "-f", "queue.yaml", "--log-dir"), "--log-dir"),
        (("demo", "--output-dir"), "--output-dir"),
        (("simulate", "--suite", "--output-dir"), "--output-dir"),
    ],
    ids=["local", "demo", "simulate"],
)
def test_a_folder_that_cannot_be_made_is_told_before_anything_runs(
    command: tuple[str, ...], option: str, tmp_path: Path
) -> None:
    (tmp_path / "queue.yaml").write_text(QUEUE)
    (tmp_path / "taken").write_text("")

    told = sluiceway(*command, "taken/logs", cwd=tmp_path)

    assert told.returncode == 3
    assert one_line(told).startswith(f"sluiceway: {option} taken/logs: cannot be made: ")


def test_a_recording_of_a_broker_that_never_answers_is_no_success(tmp_path: Path) -> None:
    away = "redis://localhost:1/0"

    told = sluiceway(
        *("record", "--url", away, "-o", "w.csv", "--for", "10ms", "--every", "10ms"), cwd=tmp_path
    )

    assert told.returncode == 3
    assert f"sluiceway: nothing was recorded: broker {away}: " in told.stderr


def test_a_kubeconfig_that_does_not_exist_is_told_as_such(tmp_path: Path) -> None:
    told = sluiceway_at_home(tmp_path, "explain", "-n", "shop")

    assert told.returncode == 3
    assert told.stderr.rstrip().endswith(
        ".kube/config cannot be used: there is no such file; name another with --kubeconfig, "
        "or in KUBECONFIG"
    )


def sluiceway_at_home(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it as somebody whose home this is, with nothing else set."""
    return subprocess.run(
        [sys.executable, "-m", "sluiceway", *arguments],
        capture_output=True,
        text=True,
        env={"HOME": str(home), "PATH": os.environ["PATH"], "COLUMNS": "100"},
        check=False,
    )
