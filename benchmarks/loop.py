"""One broker's loop over many fleets: what a tick of all costs, at rest and with work.

Everything is real but the cluster: the broker, the looks, the decisions, what is told of
them. Processor time of one process; it holds on a busy machine, where seconds do not.
``--profile`` says where it goes.
"""

from __future__ import annotations

import asyncio
import cProfile
import gc
import os
import pstats
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import redis

from benchmarks.common import Result, machine, parser, server, show, url_of, write
from sluiceway.api.taskqueue import GROUP, VERSION
from sluiceway.broker.address import parse_address
from sluiceway.broker.connection import Brokers
from sluiceway.cluster.loops import NoLeases
from sluiceway.cluster.reports import ClusterReports
from sluiceway.cluster.settle import Settled
from sluiceway.cluster.specs import Specs
from sluiceway.observe import BrokerReader, RunningWorker, Watched
from sluiceway.observe.waking import Waking
from sluiceway.reconcile import BrokerLoop, Pace
from sluiceway.report.fleet_meters import FleetMeters
from sluiceway.report.status import FleetStatus
from sluiceway.report.status_writer import StatusWriter

LOOKS = 5
"""After the first few, at which all is new."""
_MESSAGE = '{"body": "", "headers": {"id": "x"}, "properties": {}}'


class _Fleet:
    """A Deployment that does what it is told, and whose pods never come."""

    rolling_out = False
    trouble: str | None = None
    stuck: str | None = None
    marked: frozenset[str] = frozenset()
    leaving: frozenset[str] = frozenset()

    def __init__(self, watched: Watched) -> None:
        self.watched = watched
        self.replicas = 0

    def workers(self) -> Sequence[RunningWorker]:
        return ()

    async def scale(self, replicas: int, remove: tuple[str, ...]) -> None:
        self.replicas = replicas


class _Reports(ClusterReports):
    """Says who was looked at: what a tick does not come to is left to the next."""

    seen: set[str]

    def add(self, status: FleetStatus) -> None:
        self.seen.add(status.fleet)
        super().add(status)

    def still(self, fleet: str, at: float) -> None:
        self.seen.add(fleet)
        super().still(fleet, at)


class _Cluster:
    """Takes every write, and warns of nothing."""

    async def request(self, *_: object, **__: object) -> bytes:
        return b"{}"

    def warnings_of(self, key: str) -> tuple[str, ...]:
        return ()

    def looked_at(self, status: object) -> None:
        pass

    async def run(self) -> None:
        pass


def run(small: bool = True, profile: bool = False) -> Result:
    """Milliseconds of a tick of all, and kilobytes of memory for each fleet."""
    counts = (1_000,) if small else (1_000, 10_000)
    figures: Result = {}
    for count in counts:
        with server() as broker:
            figures[f"{count}_fleets"] = asyncio.run(_ticks(broker, count, profile))
    return figures


async def _ticks(broker: redis.Redis, count: int, profile: bool) -> Result:
    gc.collect()
    before = _rss_bytes()
    cluster = cast(Any, _Cluster())
    statuses = StatusWriter(cluster, may_write=lambda: True, gone=lambda key: None)
    specs, brokers, waking = Specs(), Brokers(), Waking()
    reports = _Reports(specs=specs, statuses=statuses, events=None, meters=FleetMeters())
    loop = BrokerLoop(
        reader=BrokerReader(brokers),
        leases=lambda watched: NoLeases(),
        wakes=waking,
        report=reports,
        clock=time.time,
        pace=Pace(),
    )
    async with reports.term(cluster):
        for fleet in _fleets(specs, reports, url_of(broker), count):
            loop.put(fleet)
        keys = list(specs.taskqueues)
        for _ in range(LOOKS):
            await _all(loop, reports, keys, set())
            await asyncio.sleep(0.2)  # for the statuses
        gc.collect()
        kilobytes = (_rss_bytes() - before) / 1e3 / count
        at_rest = await _cpu_ms(loop, reports, keys, set(keys), profile)
        with broker.pipeline(transaction=False) as pipe:
            for n in range(count):
                pipe.lpush(f"queue-{n}", _MESSAGE)
            pipe.execute()
        await _all(loop, reports, keys, set())
        busy = await _cpu_ms(loop, reports, keys, set(keys), profile)
        one = await _cpu_ms(loop, reports, keys[:1], set(), False)
    await waking.close()
    await brokers.close()
    return {
        "tick_of_all_at_rest_cpu_ms": at_rest,
        "tick_of_all_with_work_cpu_ms": busy,
        "tick_of_one_cpu_ms": one,
        "kB_for_each_fleet": round(kilobytes, 1),
    }


def _fleets(specs: Specs, reports: ClusterReports, url: str, count: int) -> Iterable[_Fleet]:
    address = parse_address(url)
    for n in range(count):
        specs.put_taskqueue(
            {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "TaskQueue",
                "metadata": {"name": f"queue-{n}", "namespace": "shop", "uid": str(n)},
                "spec": {"broker": {"url": url}, "worker": {"app": "shop", "image": "shop:1"}},
            }
        )
        spec = specs.taskqueues[f"shop/queue-{n}"]
        assert spec.taskqueue is not None, spec.problems
        watched = Watched(taskqueue=spec.taskqueue, address=address)
        reports.settled(spec, Settled(watched=watched))
        yield _Fleet(watched)


async def _all(loop: BrokerLoop, reports: _Reports, keys: list[str], routine: set[str]) -> None:
    """Look at all of them once."""
    reports.seen = set()
    while left := [key for key in keys if key not in reports.seen]:
        await loop.tick(left, routine=routine)


async def _cpu_ms(
    loop: BrokerLoop, reports: _Reports, keys: list[str], routine: set[str], profile: bool
) -> float:
    """The median of some looks at all."""
    took = []
    for _ in range(LOOKS):
        began = time.process_time()
        await _all(loop, reports, keys, routine)
        took.append((time.process_time() - began) * 1000)
        await asyncio.sleep(0.2)
    if profile:
        with cProfile.Profile() as one:
            await _all(loop, reports, keys, routine)
        pstats.Stats(one).sort_stats("tottime").print_stats(12)
    return round(sorted(took)[LOOKS // 2], 1)


def _rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    """``--profile`` beside what all measurements take."""
    options = parser(__doc__ or "")
    options.add_argument("--profile", action="store_true", help="say where the time goes")
    given = options.parse_args()
    figures = run(not given.full, given.profile)
    show("loop: a tick of all fleets", figures)
    write(given.json, {"machine": machine(), "loop": figures})


if __name__ == "__main__":
    main()
