"""Child processes that never outlive local mode, tried with real ones."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from sluiceway.local.processes import Child, Guard, group_runs
from sluiceway.local.server import EmbeddedServer, NoServerError, free_port

POLITE = (
    "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); {ready}; time.sleep(60)"
)
STUBBORN = "import signal, time; signal.signal(15, signal.SIG_IGN); {ready}; time.sleep(60)"


def alive(pid: int) -> bool:
    """Whether a process of this number exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds: Callable[[], bool], *, what: str) -> None:
    """Poll, with a deadline that only a hang reaches."""
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
async def guard() -> AsyncIterator[Guard]:
    guard = Guard()
    yield guard
    await asyncio.to_thread(guard.close)


def start(guard: Guard, code: str, folder: Path, *, grace_s: float | None = 30.0) -> Child:
    """A Python child that has run its first statements when this returns."""
    ready = folder / f"ready-{time.monotonic_ns()}"
    with (folder / "output").open("ab") as output:
        child = Child(
            [sys.executable, "-c", code.format(ready=f"open({str(ready)!r}, 'w').close()")],
            guard=guard,
            grace_s=grace_s,
            env=os.environ,
            output=output,
        )
    until(lambda: ready.exists() or child.exited.done(), what="the child did not start")
    return child


async def test_the_exit_code_of_a_child_is_told(guard: Guard, tmp_path: Path) -> None:
    child = start(guard, "{ready}; raise SystemExit(7)", tmp_path)

    assert await child.exited == 7


async def test_what_a_child_leaves_in_its_group_ends_with_it(guard: Guard, tmp_path: Path) -> None:
    left = tmp_path / "left"
    code = (
        "import subprocess, sys;"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        f"open({str(left)!r}, 'w').write(str(p.pid)); {{ready}}"
    )
    child = start(guard, code, tmp_path)

    await child.exited

    until(lambda: not alive(int(left.read_text())), what="the grandchild lives on")


async def test_a_signal_to_a_child_that_has_gone_is_no_error(guard: Guard, tmp_path: Path) -> None:
    child = start(guard, "{ready}", tmp_path)
    await child.exited

    child.send(signal.SIGTERM)
    child.send_group(signal.SIGKILL)

    assert child.exited.result() == 0


async def test_the_end_of_a_child_is_told_also_when_a_signal_comes_at_that_very_moment(
    guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a busy machine the thread that waits for it is late."""
    its_turn, waitid = threading.Event(), os.waitid
    monkeypatch.setattr(os, "waitid", lambda *args: (its_turn.wait(), waitid(*args)))
    child = start(guard, "{ready}; raise SystemExit(7)", tmp_path)
    until(lambda: not alive(child.pid), what="the child did not end")

    child.send(signal.SIGTERM)

    its_turn.set()
    assert await child.exited == 7


async def test_the_end_of_a_child_is_told_also_where_ended_children_are_not_kept(
    guard: Guard, tmp_path: Path
) -> None:
    """Who started us may have ignored SIGCHLD, and that is inherited."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        child = start(guard, "{ready}", tmp_path)

        assert await child.exited == 0
    finally:
        signal.signal(signal.SIGCHLD, before)


async def test_a_child_runs_and_its_end_is_told_also_where_there_is_no_waitid(
    guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS before Python 3.13."""
    monkeypatch.delattr(os, "waitid")
    child = start(guard, POLITE, tmp_path)

    child.send(signal.SIGTERM)

    assert await child.exited == 0


async def test_the_end_of_a_child_that_the_guard_has_ended_is_told(tmp_path: Path) -> None:
    guard = Guard()
    child = start(guard, POLITE, tmp_path)

    await asyncio.to_thread(guard.close)

    assert await child.exited == 0


async def test_a_number_that_may_be_anothers_by_now_is_never_signalled(
    guard: Guard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = start(guard, "{ready}", tmp_path)
    await child.exited
    signalled: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: signalled.append(pid))
    monkeypatch.setattr(os, "killpg", lambda pid, _: signalled.append(pid))

    child.send(signal.SIGTERM)
    child.send_group(signal.SIGKILL)

    assert signalled == []


def run_and_kill(body: str) -> list[int]:
    """Run a program that starts children and prints their numbers, then end it with kill -9."""
    program = f"""
import asyncio, os, sys
from pathlib import Path
from sluiceway.local.processes import Child, Guard
async def main():
    guard = Guard()
{body}
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout is not None
        pids = [int(word) for word in p.stdout.readline().split()]
        p.kill()
    return pids


def starting(code: str, *, ready: Path, grace_s: float) -> str:
    """Program text that starts one child, waits until it is ready, and prints its number."""
    code = code.format(ready=f"open({str(ready)!r}, 'w').close()")
    return f"""
    output = open(os.devnull, 'ab')
    child = Child([sys.executable, '-c', {code!r}],
                  guard=guard, grace_s={grace_s}, env=os.environ, output=output)
    while not Path({str(ready)!r}).exists():
        await asyncio.sleep(0.02)
    print(child.pid, flush=True)
"""


def test_after_kill_9_of_local_mode_workers_are_asked_to_go(tmp_path: Path) -> None:
    farewell = tmp_path / "farewell"
    code = (
        "import signal, sys, time;"
        f"signal.signal(15, lambda *_: sys.exit(open({str(farewell)!r}, 'w').close()));"
        "{ready}; time.sleep(60)"
    )

    (pid,) = run_and_kill(starting(code, ready=tmp_path / "ready", grace_s=30))

    until(lambda: not alive(pid), what="the worker lives on")
    assert farewell.exists()


def test_after_kill_9_a_worker_that_stays_is_ended_when_its_grace_period_is_over(
    tmp_path: Path,
) -> None:
    (pid,) = run_and_kill(starting(STUBBORN, ready=tmp_path / "ready", grace_s=0.3))

    until(lambda: not alive(pid), what="the worker lives on")


def test_after_kill_9_the_server_and_the_folder_go_too(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    body = f"""
    from sluiceway.local.server import EmbeddedServer
    guard.folder(Path({str(folder)!r}))
    server = await EmbeddedServer.start(Path({str(folder)!r}), guard)
    print(server.pid, flush=True)
"""

    (pid,) = run_and_kill(body)

    until(lambda: not alive(pid), what="the server lives on")
    until(lambda: not folder.exists(), what="the folder is still there")


async def test_an_orderly_end_leaves_children_alone_that_have_gone(tmp_path: Path) -> None:
    guard = Guard()
    child = start(guard, POLITE, tmp_path)
    child.send(signal.SIGTERM)
    assert await child.exited == 0

    await asyncio.to_thread(guard.close)

    assert not alive(child.pid)


async def test_the_embedded_server_answers_and_ends(guard: Guard, tmp_path: Path) -> None:
    server = await EmbeddedServer.start(tmp_path, guard)
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"CONFIG GET maxmemory-policy\r\n")
    answer = await reader.readuntil(b"noeviction")
    writer.close()

    await server.stop()

    assert answer.startswith(b"*2")
    assert not alive(server.pid)


async def test_a_port_that_is_taken_is_said_with_the_server_s_own_words(
    guard: Guard, tmp_path: Path
) -> None:
    listener = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", free_port())
    port = listener.sockets[0].getsockname()[1]

    with pytest.raises(NoServerError, match=f"port {port}.*"):
        await EmbeddedServer.start(tmp_path, guard, port)

    listener.close()


def test_a_group_runs_as_long_as_one_of_it_is_no_zombie(tmp_path: Path) -> None:
    def process(pid: int, state: str, group: int) -> None:
        (tmp_path / str(pid)).mkdir(exist_ok=True)
        (tmp_path / str(pid) / "stat").write_text(f"{pid} (a) b (c) {state} 1 {group} {group} 0")

    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "stat").write_text("")
    process(10, "Z", 10)
    process(11, "S", 10)
    process(12, "R", 12)
    assert group_runs(10, tmp_path)
    process(11, "Z", 10)
    assert not group_runs(10, tmp_path)
    assert not group_runs(13, tmp_path)
