"""The heartbeats of 1,000 workers on one broker: its commands and processor, and the operator's.

The pulses are the workers' own, each with its thread and its connection, a hundred to a
process; only what they tell is made up, of a worker with so many task names. An idle
worker beats every second. A busy one beats when something changes, at most every 0.4 s:
here something changes all the time, and a machine of two cores does not come to that with
a thousand. The broker's share of its one thread is what its other users are kept waiting;
the operator reads all of them in one look.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any

import redis

from benchmarks.common import Result, fleet, main, server, url_of
from sluiceway.broker.connection import Brokers
from sluiceway.observe import BrokerReader, Memory, observe
from sluiceway_worker import wire
from sluiceway_worker.heartbeat import Heartbeat, RunningTask, TaskTimes, TaskWork
from sluiceway_worker.pulse import Broker, Pulse

TASK_NAMES = 10
PULSES_IN_A_PROCESS = 100
POKE_EVERY_S = 0.1


def run(small: bool = True) -> Result:
    """Figures a second of the broker, and of one look at all of them."""
    workers, span_s = (200, 5.0) if small else (1000, 20.0)
    with server() as client:
        return {
            f"{workers}_workers": {
                "idle": _measure(client, workers, span_s, busy=False),
                "busy": _measure(client, workers, span_s, busy=True),
            }
        }


def _measure(client: redis.Redis, workers: int, span_s: float, *, busy: bool) -> Result:
    client.flushall()
    port = int(client.connection_pool.connection_kwargs["port"])
    with _pulses(port, workers, busy=busy):
        while client.scard(wire.workers_key("")) < workers:
            time.sleep(0.1)
        before, began = _Spent.of(client), time.perf_counter()
        time.sleep(span_s)
        after, took_s = _Spent.of(client), time.perf_counter() - began
        looked = asyncio.run(_looks(url_of(client), workers))
        key = next(iter(client.scan_iter(match=wire.heartbeat_key("", "*"), count=1000)))
        size = client.strlen(key)
    beats, cpu_s = after.beats - before.beats, after.cpu_s - before.cpu_s
    return {
        "beats_per_s": round(beats / took_s),
        "commands_per_s": round((after.commands - before.commands) / took_s),
        "broker_cpu_percent_of_a_core": round(100 * cpu_s / took_s, 1),
        "broker_cpu_us_for_a_beat": round(cpu_s / beats * 1e6, 1),
        "bytes_of_a_heartbeat": size,
        **looked,
    }


@dataclass(frozen=True)
class _Spent:
    """What a server has done since its start."""

    beats: int
    commands: int
    cpu_s: float

    @classmethod
    def of(cls, client: redis.Redis) -> _Spent:
        counts: dict[str, Any] = client.info("commandstats")
        usage = client.info("cpu")
        return cls(
            beats=counts["cmdstat_set"]["calls"] if "cmdstat_set" in counts else 0,
            commands=sum(one["calls"] for one in counts.values()),
            cpu_s=usage["used_cpu_user_main_thread"] + usage["used_cpu_sys_main_thread"],
        )


async def _looks(url: str, workers: int) -> Result:
    """The operator's processor time for one look at the fleet and what is made of it."""
    watched, brokers, times = fleet("video", url), Brokers(), 10
    reader = BrokerReader(brokers)
    try:
        await reader.read([watched])
        began = time.process_time()
        for _ in range(times):
            reading = await reader.read([watched])
        look_ms = (time.process_time() - began) * 1000 / times
    finally:
        await brokers.close()
    heard = len(reading.of(watched).workers[watched.prefix].heard)
    assert heard == workers, f"{heard} of {workers} workers were heard"
    began = time.process_time()
    observe(reading, watched, workers=[], replicas=0, memory=Memory(), now=time.time())
    return {
        "operator_cpu_ms_for_a_look": round(look_ms, 1),
        "and_for_what_is_made_of_it": round((time.process_time() - began) * 1000, 1),
    }


@contextmanager
def _pulses(port: int, workers: int, *, busy: bool) -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    enough = context.Event()
    processes = [
        context.Process(
            target=_beat_all,
            args=(port, range(first, min(first + PULSES_IN_A_PROCESS, workers)), busy, enough),
        )
        for first in range(0, workers, PULSES_IN_A_PROCESS)
    ]
    for process in processes:
        process.start()
    try:
        yield
    finally:
        enough.set()
        for process in processes:
            process.join(60)
            process.kill()


def _beat_all(port: int, numbers: range, busy: bool, enough: Event) -> None:
    pulses = [_pulse(number) for number in numbers]
    for pulse in pulses:
        client = redis.Redis(port=port, socket_timeout=10)
        pulse.connect(Broker(client=client, prefix="", db=0, visibility_timeout_s=3600.0))
    while not enough.wait(POKE_EVERY_S):
        for pulse in pulses if busy else ():
            pulse.poke()
    for pulse in pulses:
        pulse.stop(say_goodbye=False)


def _pulse(number: int) -> Pulse:
    incarnation = f"worker-{number}"
    began = time.time()

    def compose(pulse: Pulse, broker: Broker) -> Heartbeat:
        return _told(incarnation, time.time() - began, pulse.run_id)

    return Pulse(
        incarnation,
        compose=compose,
        on_lease=lambda there: None,
        on_beat=lambda client: None,
        on_turn=lambda: wire.HEARTBEAT_EVERY_S,
        on_moved=lambda: None,
        on_error=lambda: None,
    )


def _told(incarnation: str, up_s: float, run_id: str) -> Heartbeat:
    """What a worker says that has run tasks of so many names."""
    names = [f"shop.tasks.work_{number}" for number in range(TASK_NAMES)]
    buckets = [3] * len(wire.BOUNDS_S)
    return Heartbeat(
        incarnation=incarnation,
        name=incarnation,
        fleet="default/video",
        queues=["video"],
        state="consuming",
        slots=2,
        active=2,
        running_for_s=up_s,
        processed=int(up_s * 10),
        tasks={name: TaskTimes(100, 123.456789, 234.567891) for name in names},
        work=[
            TaskWork(
                queue="video",
                name=name,
                started=100,
                succeeded=98,
                failed={"ValueError": 2},
                run_sum_s=123.456789,
                runs=buckets,
                wait_sum_s=12.345678,
                waits=buckets,
            )
            for name in names
        ],
        running=[RunningTask("video", name, up_s) for name in names[:2]],
        up_s=up_s,
        started_in_s=2.5,
        acks="late",
        run_id=run_id,
    )


if __name__ == "__main__":
    main("heartbeats: what many workers cost one broker", run)
