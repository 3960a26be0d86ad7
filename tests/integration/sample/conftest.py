"""The sample shop as it really runs: gunicorn, a worker, a server, a database file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from sluiceway_sample import settings
from sluiceway_sample.database import connect
from tests.conftest import free_port

QUEUES = "exports,videos,emails,billing,partners"
DEADLINE_S = 90.0


@dataclass(frozen=True)
class Shop:
    """A running shop, its visitor, and its database."""

    visitor: httpx.Client

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with connect() as db:
            return [tuple(row) for row in db.execute(query, values)]

    def runs(self, task_id: str) -> list[tuple[Any, ...]]:
        """(attempt, event, outcome) of one task, in order."""
        return self.rows(
            "SELECT attempt, event, outcome FROM task_runs WHERE task_id = ? ORDER BY at", task_id
        )

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that real processes do in their own time."""
        deadline = time.monotonic() + DEADLINE_S
        while not holds():
            assert time.monotonic() < deadline, "it did not come about in time"
            time.sleep(0.05)

    def until_finished(self, task_id: str) -> None:
        self.until(
            lambda: self.runs(task_id)[-1:] and self.runs(task_id)[-1][2] not in (None, "RETRY")
        )


@pytest.fixture
def shop(redis_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    address = f"127.0.0.1:{free_port()}"
    database = tmp_path / "shop.sqlite3"
    monkeypatch.setattr(settings, "SHOP_DATABASE", str(database))
    env = {
        **os.environ,
        "SHOP_DATABASE": str(database),
        "SHOP_URL": f"http://{address}",
        "SHOP_BIND": address,
        "SHOP_RETRY_BASE": "1",
        "CELERY_BROKER_URL": redis_server.url,
    }
    with ExitStack() as stack:
        for name, command in {
            "web": ["gunicorn", "-c", "python:sluiceway_sample.serving"],
            "worker": ["celery", "-A", "sluiceway_sample.tasks", "worker", "-Q", QUEUES, "-c", "2"],
        }.items():
            log = stack.enter_context((tmp_path / f"{name}.log").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env=env,
                stdout=log,
                stderr=log,
                cwd=tmp_path,
                start_new_session=True,
            )
            stack.callback(process.wait)
            # How it leaves is not what is tested here: its whole group at once.
            stack.callback(os.killpg, process.pid, signal.SIGKILL)
        visitor = stack.enter_context(
            httpx.Client(base_url=f"http://{address}", trust_env=False, timeout=60)
        )
        running = Shop(visitor)
        running.until(lambda: _answers(visitor))
        yield running


def _answers(visitor: httpx.Client) -> bool:
    try:
        return visitor.get("/").is_success
    except httpx.TransportError:
        return False
