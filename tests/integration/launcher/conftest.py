"""The launcher as it lies in a pod, and an image's Python that has Celery and nothing of ours."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
import urllib.request
import venv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
import redis
from celery import Celery

from tests.conftest import free_port

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
PATIENCE_S = 60.0

IN_A_HURRY = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("launcher", sys.argv.pop(1))
launcher = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launcher)
launcher.STALE_S, launcher.LOOK_EVERY_S = 1.0, 0.1
launcher.main()
"""
"""The same launcher with a patience that a test has."""


def wait_for(probe: Callable[[], Any], what: str) -> Any:
    """The first true value of ``probe``."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        if value := probe():
            return value
        time.sleep(0.02)
    raise AssertionError(f"never came: {what}")


class Launched:
    """A worker that the launcher started."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.log = log

    def passes(self) -> bool:
        """What a kubelet does with a TCP probe."""
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
        except ConnectionError:
            return False
        return True

    def words(self) -> str:
        """What it tells who asks."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}", timeout=10) as answer:
            return str(answer.read().decode().strip())

    def is_up(self) -> None:
        wait_for(self.passes, f"an open port; it said:\n{self.said()}")

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def terminate(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_S)


class Broker:
    """The queue ``work`` of the launched application, and what its tasks left."""

    def __init__(self, server: Any) -> None:
        self.server = server
        self.url: str = server.url
        self.redis: redis.Redis = server.client()
        self._app = Celery(broker=self.url, set_as_current=False)
        self._app.conf.update(task_default_queue="work", task_ignore_result=True)

    def send(self, task: str, *args: Any) -> None:
        self._app.send_task(f"launched_app.{task}", args=args)

    def left(self, key: str) -> Any:
        """Wait for what a task leaves there."""
        raw = self.redis.blpop([key], timeout=PATIENCE_S)
        assert raw is not None, f"no task left anything in {key}"
        return json.loads(raw[1])

    def close(self) -> None:
        self._app.close()


@pytest.fixture
def broker(redis_server: Any) -> Iterator[Broker]:
    broker = Broker(redis_server)
    yield broker
    broker.close()


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """The folder ``/sluiceway`` of a worker's pod."""
    mount = tmp_path / "sluiceway"
    shutil.copytree(ROOT / "worker_image" / "launcher", mount / "launcher")
    ignored = shutil.ignore_patterns("__pycache__")
    package = ROOT / "worker_image" / "src" / "sluiceway_worker"
    shutil.copytree(package, mount / "agent" / "sluiceway_worker", ignore=ignored)
    return mount


@pytest.fixture(scope="session")
def image_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an image with Celery in a virtual environment, which is on no PATH.

    It borrows this environment's packages, and a path file is not read twice, so that
    the packages of this project, which are installed by one, are not there.
    """
    folder = tmp_path_factory.mktemp("image") / "venv"
    venv.create(folder, symlinks=True)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    borrowed = sysconfig.get_path("purelib")
    (folder / "lib" / version / "site-packages" / "borrowed.pth").write_text(borrowed)
    python = folder / "bin" / "python"
    without = subprocess.run([python, "-c", "import sluiceway_worker"], capture_output=True)
    assert without.returncode != 0
    return python


class Launch(Protocol):
    def __call__(
        self,
        *options: str,
        app: str = ...,
        cwd: Path = ...,
        before: tuple[str, ...] = ...,
        hurry: bool = ...,
        **env: str,
    ) -> Launched: ...


@pytest.fixture
def launch(broker: Broker, mount: Path, image_python: Path, tmp_path: Path) -> Iterator[Launch]:
    """Start workers by the launcher; whatever is left of them is ended with the test."""
    started: list[Launched] = []

    def start(
        *options: str,
        app: str = "launched_app",
        cwd: Path = HERE,
        before: tuple[str, ...] = (),
        hurry: bool = False,
        **env: str,
    ) -> Launched:
        port = free_port()
        script = str(mount / "launcher" / "launcher.py")
        program = [str(image_python), *(("-c", IN_A_HURRY) if hurry else ()), script]
        log = tmp_path / f"worker-{len(started)}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [*before, *program, "-A", app, "worker", "-l", "INFO", "-Q", "work", *options],
                cwd=cwd,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={
                    "PATH": os.environ["PATH"],
                    "CELERY_BROKER_URL": broker.url,
                    "SLUICEWAY_PROBE_PORT": str(port),
                    "SLUICEWAY_FLEET": "shop/work",
                    "SLUICEWAY_NAME": "work-1",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    **env,
                },
            )
        started.append(Launched(process, port, log))
        return started[-1]

    yield start
    for worker in started:
        if worker.process.poll() is None:
            # The pool's children are in the worker's own session.
            os.killpg(worker.process.pid, signal.SIGKILL)
            worker.process.wait()
        sys.stdout.write(f"--- {worker.log.name}\n{worker.said()}\n")
