"""`sluiceway top` and `explain` ask a real API server, with no more than a reader's rights."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from testcluster.control_plane import ControlPlane
from testcluster.fixtures import Namespace
from testcluster.paths import MANIFESTS

TASKQUEUE = """\
apiVersion: sluiceway.dev/v1alpha1
kind: TaskQueue
metadata: {{name: {name}}}
spec:
  broker: {{url: redis://redis:6379/0}}
  worker: {{app: tasks, image: example.invalid/shop}}
"""
STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "queueNames": "video,clips",
    "waiting": 1_100,
    "inFlight": 8,
    "oldestTaskAge": "12s",
    "desiredReplicas": 4,
    "readyReplicas": 2,
    "startingReplicas": 2,
    "reason": "MeetingTarget",
    "message": "4 workers: 1100 waiting tasks.",
    "conditions": [
        {
            "type": "Waking",
            "status": "False",
            "reason": "Polling",
            "message": "polling, because a proxy refuses it",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
    "changes": [
        {
            "time": "2026-01-01T00:00:00Z",
            "from": 0,
            "to": 4,
            "reason": "MeetingTarget",
            "message": "4 workers: 1200 waiting tasks.",
            "steps": [{"name": "demand", "message": "1200 waiting."}],
        }
    ],
}
READER = [{"apiGroups": ["sluiceway.dev"], "resources": ["taskqueues"], "verbs": ["list", "watch"]}]


@pytest.fixture
def shop(control_plane: ControlPlane, namespace: Namespace) -> Namespace:
    """A namespace with the TaskQueue video, which an operator has looked at, and mail."""
    control_plane.kubectl.run("apply", "--filename", MANIFESTS / "crds")
    control_plane.kubectl.run(
        "wait", "crd", "taskqueues.sluiceway.dev", "--for=condition=Established", "--timeout=60s"
    )
    for name in ("video", "mail"):
        namespace.kubectl.apply(TASKQUEUE.format(name=name))
    write_status(namespace, **STATUS)
    return namespace


@pytest.fixture
def reader(control_plane: ControlPlane, shop: Namespace) -> Path:
    """A kubeconfig whose context names the namespace."""
    return control_plane.service_account("reader", shop.name, READER)


def write_status(namespace: Namespace, **status: Any) -> None:
    patch = json.dumps({"status": status})
    namespace.kubectl.run(
        "patch", "tq", "video", "--subresource=status", "--type=merge", "--patch", patch
    )


def environment(tmp_path: Path, kubeconfig: Path) -> dict[str, str]:
    """A user's, in which no local mode runs."""
    return os.environ | {
        "KUBECONFIG": str(kubeconfig),
        "XDG_RUNTIME_DIR": str(tmp_path),
        "COLUMNS": "120",
        "LINES": "30",
        "TERM": "xterm",
    }


def sluiceway(*arguments: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sluiceway", *arguments],
        capture_output=True,
        text=True,
        env=env,
        check=False,
    )


def words(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


@pytest.mark.parametrize("name", ["tq/video", "video", "clips"])
def test_explain_tells_the_number_what_does_not_hold_and_the_chain(
    name: str, shop: Namespace, reader: Path, tmp_path: Path
) -> None:
    told = sluiceway("explain", name, "-n", shop.name, env=environment(tmp_path, reader))

    assert told.returncode == 0, told.stderr
    lines = words(told.stdout)
    assert lines[0] == f"{shop.name}/video: 4 workers: 1100 waiting tasks."
    assert lines[1].startswith("workers 2/4 (2 starting); 1 100 waiting (oldest 12s), 8 running, ?")
    assert any(line.startswith("Waking is False for ") for line in lines)
    assert any(line.endswith("0 → 4: 4 workers: 1200 waiting tasks.") for line in lines)
    assert "demand ? 1200 waiting." in lines


def test_explain_without_options_asks_the_kubeconfig_s_own_namespace(
    shop: Namespace, reader: Path, tmp_path: Path
) -> None:
    told = sluiceway("explain", "-o", "json", env=environment(tmp_path, reader))

    assert told.returncode == 0, told.stderr
    mail, video = map(json.loads, told.stdout.splitlines())
    assert (mail["name"], mail["status"]) == ("mail", {})
    assert video["namespace"] == shop.name
    assert video["status"]["changes"][0]["to"] == 4


def test_explain_of_a_name_that_is_not_there_names_those_that_are(
    shop: Namespace, reader: Path, tmp_path: Path
) -> None:
    told = sluiceway("explain", "vidoe", "-n", shop.name, env=environment(tmp_path, reader))

    assert told.returncode == 2
    assert told.stderr == (
        f"sluiceway: no TaskQueue is called vidoe or serves it in namespace {shop.name}; "
        "there are: mail, video\n"
    )


def test_a_right_that_is_missing_is_one_line(shop: Namespace, reader: Path, tmp_path: Path) -> None:
    env = environment(tmp_path, reader)

    for arguments in (
        ("explain", "video", "-n", "default"),
        ("top", "-A"),
        ("top", "-A", "--once"),
    ):
        told = sluiceway(*arguments, env=env)

        assert told.returncode == 3
        (line,) = told.stderr.splitlines()
        assert "a permission is missing" in line


def test_top_once_is_a_line_for_each_taskqueue_where_there_is_no_terminal(
    shop: Namespace, reader: Path, tmp_path: Path
) -> None:
    told = sluiceway("top", "--once", env=environment(tmp_path, reader))

    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [
        f"{shop.name}/mail: ? waiting, ? running, ? scheduled, workers ?/?; "
        "not looked at yet; is an operator running?",
        f"{shop.name}/video: 1 100 waiting, oldest 12s, 8 running, ? scheduled, "
        "workers 2/4 (2 starting); 4 workers: 1100 waiting tasks.",
    ]


def test_top_without_a_terminal_is_a_line_of_json_whenever_something_changes(
    shop: Namespace, reader: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "sluiceway", "top", "-o", "json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment(tmp_path, reader)
    ) as top:
        try:
            assert top.stdout is not None
            first = [json.loads(top.stdout.readline()) for _ in range(2)]
            assert {one["name"] for one in first} == {"mail", "video"}
            write_status(shop, waiting=7)
            assert json.loads(top.stdout.readline())["status"]["waiting"] == 7
            shop.kubectl.run("delete", "tq", "mail", "--wait=false")
            assert json.loads(top.stdout.readline()) == {
                "namespace": shop.name,
                "name": "mail",
                "deleted": True,
            }
        finally:
            top.send_signal(signal.SIGINT)
        assert top.wait() == 130


class Terminal:
    """What a command has drawn on a terminal so far."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._text = ""

    def until(self, pattern: str) -> None:
        """Read on until it was drawn."""
        while not re.search(pattern, self._text):
            ready, _, _ = select.select([self._master], [], [], 120)
            assert ready, f"{pattern} is not in: {self._text}"
            drawn = os.read(self._master, 65_536).decode()
            self._text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)


@contextmanager
def on_a_terminal(*arguments: str, env: dict[str, str]) -> Iterator[tuple[Terminal, Any]]:
    master, slave = pty.openpty()
    command = [sys.executable, "-m", "sluiceway", *arguments]
    with subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env) as running:
        os.close(slave)
        try:
            yield Terminal(master), running
        finally:
            running.kill()
            os.close(master)


def test_top_on_a_terminal_follows_the_cluster_until_ctrl_c(
    shop: Namespace, reader: Path, tmp_path: Path
) -> None:
    with on_a_terminal("top", env=environment(tmp_path, reader)) as (terminal, top):
        terminal.until(r"video +1 100 +12s +8 +\? +2/4 \(2 starting\) +4 workers: 1100")
        write_status(shop, waiting=7, message="1 worker: 7 waiting tasks.")
        terminal.until(r"video +7 +12s .* 1 worker: 7 waiting")
        top.send_signal(signal.SIGINT)
        assert top.wait() == 130


def test_top_says_that_what_it_shows_is_old_while_the_api_server_is_away(
    control_plane: ControlPlane, shop: Namespace, reader: Path, tmp_path: Path
) -> None:
    with on_a_terminal("top", env=environment(tmp_path, reader)) as (terminal, top):
        terminal.until(r"2 TaskQueues")
        control_plane.stop_api_server()
        try:
            terminal.until(r"old: the view of taskqueues")
        finally:
            control_plane.start_api_server()
        terminal.until(r"old:[\s\S]*2 TaskQueues")
        top.send_signal(signal.SIGINT)
        assert top.wait() == 130


def test_a_server_that_knows_no_taskqueues_is_told_apart_from_one_that_has_none(
    control_plane: ControlPlane, shop: Namespace, tmp_path: Path
) -> None:
    config = json.loads(control_plane.credentials.kubeconfig().read_text())
    config["clusters"][0]["cluster"]["server"] += "/elsewhere"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(json.dumps(config))

    unknown = sluiceway("top", "--once", env=environment(tmp_path, elsewhere))
    none = sluiceway(
        *("top", "--once", "-n", "kube-public"),
        env=environment(tmp_path, control_plane.credentials.kubeconfig()),
    )

    assert unknown.returncode == 3
    assert unknown.stderr.startswith("sluiceway: this cluster knows no TaskQueues: install")
    assert (none.returncode, none.stderr) == (
        0,
        "sluiceway: no TaskQueue in namespace kube-public\n",
    )
