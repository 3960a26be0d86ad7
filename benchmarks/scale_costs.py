"""What processes take while something lasts: processor time, memory, requests, commands.

Processor times hold on a busy machine, where seconds do not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from benchmarks.common import Result

IN_SCRIPTS = ("llen", "lindex", "smembers", "get", "pttl")
"""Commands that only the operator's scripts call, inside the server."""
_SAMPLES_PER_S = 100
_WAITING = ("_worker", "EpollSelector.select")
"""A thread without work, and the event loop."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """Where costs are read."""

    processes: Mapping[str, int]
    """The pids, by name."""
    metrics: str
    """The address of the operator's metrics."""
    broker: redis.Redis
    profile: Path | None = None
    """A folder for profiles of the operator; None for none."""


class Window:
    """A stretch of time; its costs are there when it is over."""

    def __init__(self, sources: Sources, name: str) -> None:
        """Begins now."""
        self.costs: Result = {}
        self._sources = sources
        self._name = name
        # First what costs the operator something itself.
        self._told = told(sources.metrics)
        self._profiler = _profiler(sources, name)
        self._commands = _commands(sources.broker)
        self._broker_s = _broker_cpu_s(sources.broker)
        self._cpu_s = {name: cpu_s(pid) for name, pid in sources.processes.items()}
        self._began = time.monotonic()

    def close(self) -> None:
        """Ends now."""
        took = time.monotonic() - self._began
        shares = {
            f"{name}_share_of_a_core": round((cpu_s(pid) - self._cpu_s[name]) / took, 3)
            for name, pid in self._sources.processes.items()
        }
        broker_s = _broker_cpu_s(self._sources.broker) - self._broker_s
        done = _commands(self._sources.broker) - self._commands
        inside = sum(done[name] for name in IN_SCRIPTS)
        self._end_profile()
        now = told(self._sources.metrics)
        rise = {name: now[name] - self._told[name] for name in now}
        self.costs = {
            "s": round(took, 1),
            **shares,
            "broker_share_of_a_core": round(broker_s / took, 3),
            "operator_rss_MB": round(rss_bytes(self._sources.processes["operator"]) / 1e6),
            "api_requests_per_s": round(rise["requests"] / took, 2),
            "status_writes_per_s": round(rise["status_writes"] / took, 2),
            "redis_commands_per_s": round((done.total() - inside) / took, 2),
            "lists_measured_in_scripts_per_s": round(done["llen"] / took, 1),
            "ticks": round(rise["ticks"]),
            "mean_tick_ms": round(1000 * rise["tick_s"] / max(rise["ticks"], 1), 1),
        }

    def give_up(self) -> None:
        """There will be no costs of it."""
        if self._profiler is not None:
            self._profiler.kill()
            self._profiler.wait()

    def _end_profile(self) -> None:
        if self._profiler is None or self._sources.profile is None:
            return
        self._profiler.send_signal(2)  # as Ctrl-C: it writes what it has
        self._profiler.wait()
        print(f"\nprofile of the operator, {self._name}: own time")
        for share, place in hottest(self._sources.profile / f"{self._name}.raw"):
            print(f"  {share:6.1%}  {place}")


@contextmanager
def window(sources: Sources, name: str) -> Iterator[Window]:
    """Costs of what is done in the block; they are there after it."""
    one = Window(sources, name)
    try:
        yield one
    except BaseException:
        one.give_up()
        raise
    one.close()


def told(metrics: str) -> dict[str, float]:
    """Sums over what the operator says of itself; with many TaskQueues it costs seconds."""
    with urllib.request.urlopen(metrics) as answer:
        lines = answer.read().decode().splitlines()
    sums = dict.fromkeys(("requests", "status_writes", "ticks", "tick_s"), 0.0)
    names = {
        "sluiceway_kubernetes_requests_total": "requests",
        "sluiceway_status_writes_total": "status_writes",
        "sluiceway_tick_duration_seconds_count": "ticks",
        "sluiceway_tick_duration_seconds_sum": "tick_s",
    }
    for line in lines:
        series, _, value = line.rpartition(" ")
        if (name := names.get(series.partition("{")[0])) is not None:
            sums[name] += float(value)
    return sums


def scrape(sources: Sources) -> Result:
    """What one look at the operator's metrics costs it."""
    pid = sources.processes["operator"]
    before = cpu_s(pid)
    with urllib.request.urlopen(sources.metrics) as answer:
        size = len(answer.read())
    return {"operator_cpu_s": round(cpu_s(pid) - before, 2), "MB": round(size / 1e6, 1)}


def cpu_s(pid: int) -> float:
    """Seconds of processor that a process has taken, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_bytes(pid: int) -> int:
    """Memory of a process that is in use."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def hottest(raw: Path, count: int = 12) -> list[tuple[float, str]]:
    """Where the samples of a profile were taken, the most frequent first, with their share.

    Waiting does not count. A line is «frame;frame;…;frame samples».
    """
    places: Counter[str] = Counter()
    for line in raw.read_text(encoding="utf-8").splitlines():
        stack, _, samples = line.rpartition(" ")
        place = stack.rpartition(";")[2].partition(":")[0]
        if place.partition(" ")[0] not in _WAITING:
            places[place] += int(samples)
    return [(n / places.total(), place) for place, n in places.most_common(count)]


def check_profiler(folder: Path | None) -> None:
    """End with a sentence where a profile is wanted and cannot be made."""
    if folder is None:
        return
    if shutil.which("py-spy") is None:
        sys.exit("--profile needs py-spy in the PATH: pip install py-spy")


def _profiler(sources: Sources, name: str) -> subprocess.Popen[bytes] | None:
    if sources.profile is None:
        return None
    pid = sources.processes["operator"]
    sources.profile.mkdir(parents=True, exist_ok=True)
    where = str(sources.profile / f"{name}.raw")
    return subprocess.Popen(
        [
            *("py-spy", "record", f"--pid={pid}", f"--output={where}", "--format=raw"),
            *(f"--rate={_SAMPLES_PER_S}", "--duration=unlimited"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _commands(broker: redis.Redis) -> Counter[str]:
    stats = broker.info("commandstats")
    return Counter({name.removeprefix("cmdstat_"): one["calls"] for name, one in stats.items()})


def _broker_cpu_s(broker: redis.Redis) -> float:
    usage = broker.info("cpu")
    return float(usage["used_cpu_user_main_thread"] + usage["used_cpu_sys_main_thread"])


def until(holds: Callable[[], bool], within_s: float) -> float | None:
    """Seconds until it is so; None where it was not in time."""
    began = time.monotonic()
    while not holds():
        if time.monotonic() - began > within_s:
            return None
        time.sleep(0.05)
    return time.monotonic() - began
