"""The tutorial, followed to the letter: its files, its commands, its twenty tasks."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from reading.blocks import blocks, commands

from sluiceway.local.server import free_port

PAGE = "docs/tutorial/quick-start.md"
TASKS = 20


def test_the_quick_start_works_as_it_is_written(tmp_path: Path) -> None:
    (tasks,) = (one.text for one in blocks("python", pages=(PAGE,)))
    (queue,) = (one.text for one in blocks("yaml", pages=(PAGE,)))
    (tmp_path / "tasks.py").write_text(tasks, encoding="utf-8")
    (tmp_path / "queue.yaml").write_text(queue, encoding="utf-8")
    asked = {one.split(" -")[0]: one for _, one in commands(pages=(PAGE,))}
    port = str(free_port())
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
        "CELERY_BROKER_URL": "",
    }
    (tmp_path / "run").mkdir(mode=0o700)
    del env["CELERY_BROKER_URL"]

    checked = _run(asked["sluiceway check"], tmp_path, env)
    (answer,) = (b.text for b in blocks("console", pages=(PAGE,)) if "sluiceway check" in b.text)
    assert checked == answer.splitlines()[1] + "\n"

    local = shlex.split(asked["sluiceway local"].replace("6390", port))
    running = subprocess.Popen(
        [*local, "--plain", "--logs"], cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True
    )
    assert running.stdout is not None
    try:
        for line in running.stdout:
            if f"redis://127.0.0.1:{port}" in line:
                break
        url = asked["export CELERY_BROKER_URL=redis://127.0.0.1:6390/0"].partition("=")[2]
        env["CELERY_BROKER_URL"] = url.replace("6390", port)
        _run(asked["python"], tmp_path, env)
        assert "exports: " in _run(asked["sluiceway explain exports"], tmp_path, env)
        done: set[str] = set()
        for line in running.stdout:
            done |= set(re.findall(r"export (\d+) is done", line))
            if len(done) == TASKS:
                break
        running.send_signal(signal.SIGINT)
        running.communicate()
    finally:
        running.kill()
    assert done == {str(number) for number in range(TASKS)}
    assert running.returncode == 0


def _run(command: str, folder: Path, env: dict[str, str]) -> str:
    return subprocess.run(
        shlex.split(command), cwd=folder, env=env, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
