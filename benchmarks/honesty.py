"""Is the simulator honest? One trace through real workers, and through the model of them.

Local mode plays it with real processes, a real server and the real decisions; the
simulator plays the same arrivals and run times with the cold start that the real workers
had. Waits and worker-seconds stand side by side. Two minutes, or ten with ``--full``.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from pathlib import Path

import redis
from celery import Celery

from benchmarks.common import Result, main
from benchmarks.honesty_app import STARTS
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.connection import Brokers
from sluiceway.local.mode import LocalMode, Settings
from sluiceway.observe import BrokerReader, Watched
from sluiceway.simulate import synthetic
from sluiceway.simulate.figures import percentile, share_within
from sluiceway.simulate.ours import Sluiceway
from sluiceway.simulate.run import simulate
from sluiceway.simulate.trace import Trace
from sluiceway.simulate.world import Plant

MAX_WAIT_S = 15.0
SPEC = {
    "queues": ["naps"],
    "worker": {"app": "honesty_app", "concurrency": 1, "longestTask": "1m"},
    "scaling": {"maxReplicas": 8, "target": {"maxWait": f"{MAX_WAIT_S:.0f}s"}},
}


def run(small: bool = True) -> Result:
    """Both plays of a trace of bursts over a trickle, their figures and the ratios."""
    span_s = 120.0 if small else 600.0
    trace = synthetic.bursts(
        size=30,
        every_s=60.0,
        trickle=1.0,
        span_s=span_s,
        run_time=synthetic.exponential(1.0),
        seed=7,
    )
    real = asyncio.run(_played(trace))
    played = simulate(
        real["trace"],
        Plant(slots=1, cold_start_s=real["cold_start_s"]),
        Sluiceway(_taskqueue().spec),
    )
    model = _figures(played.waits()) | {"worker_seconds": round(played.worker_s, 1)}
    return {
        "tasks": len(trace),
        "cold_start_s": round(real["cold_start_s"], 2),
        "real": real["figures"],
        "simulated": model,
        "simulated_to_real": {
            name: round(model[name] / real["figures"][name], 3)
            for name in ("wait_mean_s", "wait_p50_s", "wait_p95_s", "worker_seconds")
            if real["figures"][name]
        },
    }


def _taskqueue() -> TaskQueue:
    return TaskQueue.from_outside({"metadata": {"name": "naps"}, "spec": SPEC})


def _figures(waits: list[float]) -> dict[str, float]:
    rising = sorted(max(0.0, wait) for wait in waits)
    return {
        "within": round(share_within(rising, MAX_WAIT_S), 4),
        "wait_mean_s": round(sum(rising) / len(rising), 2),
        "wait_p50_s": round(percentile(rising, 50), 2),
        "wait_p95_s": round(percentile(rising, 95), 2),
    }


async def _played(trace: Trace) -> Result:
    """The trace, published in real time to real workers."""
    here = Path(__file__).parent
    settings = Settings(embedded=True, workdir=here, env={**os.environ, "PYTHONPATH": str(here)})
    async with LocalMode([_taskqueue()], settings) as local:
        client = redis.Redis.from_url(local.broker_url, decode_responses=True)
        publisher = Celery("publisher", broker=local.broker_url, set_as_current=False)
        seen: dict[str, float] = {}
        watching = asyncio.create_task(_watch(local.broker_url, seen))
        began = time.time()
        published: list[float] = []
        try:
            for number, (at, run_s) in enumerate(zip(trace.arrivals, trace.runs, strict=True)):
                await asyncio.sleep(max(0.0, began + at - time.time()))
                published.append(time.time())
                await asyncio.to_thread(
                    publisher.send_task, "honesty_app.nap", (number, run_s), queue="naps"
                )
            noted = await asyncio.to_thread(_noted, client, len(trace))
            await asyncio.sleep(max(0.0, began + trace.span_s - time.time()))
            worker_seconds = local.worker_seconds()
        finally:
            watching.cancel()
            publisher.close()
        client.close()
    waits = [float(start) - published[int(number)] for number, start, _ in noted]
    runs = {int(number): float(end) - float(start) for number, start, end in noted}
    return {
        # As it was really played: a busy machine publishes late and sleeps long.
        "trace": replace(
            trace,
            arrivals=[at - began for at in published],
            runs=[runs[number] for number in range(len(trace))],
        ),
        "cold_start_s": sum(seen.values()) / len(seen),
        "figures": _figures(waits) | {"worker_seconds": round(worker_seconds, 1)},
    }


def _noted(client: redis.Redis, tasks: int) -> list[list[str]]:
    """Number, start and end of each task, as they end."""
    noted: list[list[str]] = []
    while len(noted) < tasks:
        popped = client.blpop([STARTS])
        assert popped is not None
        noted.append(str(popped[1]).split())
    return noted


async def _watch(url: str, seen: dict[str, float]) -> None:
    """Collect how long each worker took to start, as its heartbeat tells."""
    watched, brokers = Watched.of(_taskqueue(), url), Brokers()
    reader = BrokerReader(brokers)
    try:
        while True:
            reading = (await reader.read([watched])).of(watched)
            for facts in reading.workers.values():
                for one in facts.heard:
                    if one.heartbeat.started_in_s is not None:
                        seen[one.heartbeat.incarnation] = one.heartbeat.started_in_s
            await asyncio.sleep(1.0)
    finally:
        await brokers.close()


if __name__ == "__main__":
    main("honesty: one trace through real workers and through the simulator", run)
