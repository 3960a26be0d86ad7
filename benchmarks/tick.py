"""What one look at a broker costs, the operator and the broker.

1,000 queues of four priority keys, beside pipelined ``LLEN``; and one queue, with
50,000 held messages of 20 kB in ``unacked`` and with none.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import redis

from benchmarks.common import Result, fleet, main, server, summary, url_of
from sluiceway.broker.connection import Brokers
from sluiceway.observe import BrokerReader, Memory, Watched, observe
from sluiceway_worker.wire import STAMP_HEADER, queue_keys

QUEUES = 1_000
FULL_EVERY = 10
"""Every tenth queue has messages, in all of its priorities."""


def run(small: bool = True) -> Result:
    """Milliseconds of a look, wall-clock and of the processor.

    ``queues_per_s`` goes by the operator's own processor time. ``server_cpu_ms`` is the
    time of the server's only thread for one look: what the broker's other users are kept
    waiting.
    """
    ticks = 20 if small else 100
    held, size = (5_000, 20_000) if small else (50_000, 20_000)
    return {
        f"{QUEUES}_queues": _queues(ticks),
        f"{held}_held_of_{size // 1000}_kB": {
            "with_agents": _held(held, size, ticks, agent="image"),
            "without_agents": _held(held, size, ticks, agent="none"),
        },
    }


def _queues(ticks: int) -> Result:
    with server() as client:
        names = [f"queue-{n}" for n in range(QUEUES)]
        _fill(client, names[::FULL_EVERY])
        fleets = [fleet(name, url_of(client)) for name in names]
        keys = [key for name in names for key in queue_keys("", name)]
        pipe = client.pipeline(transaction=False)

        async def pipelined() -> None:
            for key in keys:
                pipe.llen(key)
            pipe.execute()

        look = asyncio.run(_timed(client, fleets, ticks))
        plain = asyncio.run(_repeat(client, pipelined, ticks))
    return {
        "look": look,
        "pipelined_LLEN": plain,
        "queues_per_s": round(QUEUES / look["own_cpu_ms"] * 1000),
        "ratio_of_cpu": round(_cpu(plain) / _cpu(look), 2),
    }


def _held(count: int, size: int, ticks: int, *, agent: str) -> Result:
    with server() as client:
        fleets = [fleet("video", url_of(client), agent=agent)]
        none = asyncio.run(_timed(client, fleets, ticks))
        _hold(client, count, size)
        many = asyncio.run(_timed(client, fleets, ticks))
        client.flushall()
    return {
        "none": none,
        "many": many,
        "ratio_of_cpu": round(_cpu(many) / _cpu(none), 2),
    }


async def _timed(client: redis.Redis, fleets: list[Watched], ticks: int) -> Result:
    """Looking, and making an observation for each fleet of what was seen."""
    brokers = Brokers()
    reader = BrokerReader(brokers)

    async def look() -> None:
        assert (await reader.read(fleets)).of(fleets[0]).problem is None

    try:
        await look()
        found = await _repeat(client, look, ticks)
        reading = await reader.read(fleets)
    finally:
        await brokers.close()
    began = time.process_time()
    for one in fleets:
        observation, _ = observe(
            reading, one, workers=[], replicas=0, memory=Memory(), now=time.time()
        )
        assert observation.known, observation
    observing_ms = (time.process_time() - began) * 1000
    return found | {"observing_afterwards_own_cpu_ms": round(observing_ms, 2)}


async def _repeat(client: redis.Redis, once: Callable[[], Awaitable[None]], times: int) -> Result:
    """Wall-clock milliseconds, and both sides' processor milliseconds for one."""
    took_ms: list[float] = []
    server_before, own_before = _cpu_ms(client), time.process_time()
    for _ in range(times):
        began = time.perf_counter()
        await once()
        took_ms.append((time.perf_counter() - began) * 1000)
    own_ms = (time.process_time() - own_before) * 1000 / times
    server_ms = (_cpu_ms(client) - server_before) / times
    return {
        "ms": summary(took_ms),
        "own_cpu_ms": round(own_ms, 2),
        "server_cpu_ms": round(server_ms, 2),
    }


def _cpu(result: Result) -> float:
    """Both sides' processor time of one: it holds where the machine is shared."""
    return float(result["own_cpu_ms"] + result["server_cpu_ms"])


def _cpu_ms(client: redis.Redis) -> float:
    usage = client.info("cpu")
    return float(usage["used_cpu_user_main_thread"] + usage["used_cpu_sys_main_thread"]) * 1000


def _fill(client: redis.Redis, names: list[str]) -> None:
    message = _message(1_000)
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            for key in queue_keys("", name):
                pipe.lpush(key, *[message] * 3)
        pipe.execute()


def _hold(client: redis.Redis, count: int, size: int) -> None:
    """Put messages into ``unacked`` as kombu does, in batches of some MB."""
    value = f'[{_message(size)}, "", "video"]'
    for start in range(0, count, 500):
        tags = [f"tag-{n}" for n in range(start, min(start + 500, count))]
        with client.pipeline(transaction=False) as pipe:
            pipe.zadd("unacked_index", dict.fromkeys(tags, 1e9 + start))
            pipe.hset("unacked", mapping=dict.fromkeys(tags, value))
            pipe.execute()


def _message(size: int) -> str:
    """A Celery message with a body of that size."""
    headers: dict[str, Any] = {
        "lang": "py",
        "task": "tasks.work",
        "id": "f86d279d-d2b5-4774-87f2-9d4133b176e5",
        "eta": None,
        "expires": None,
        "retries": 3,
        "timelimit": [None, None],
        "argsrepr": "['he said \"now\"']",
        "kwargsrepr": "{}",
        "origin": "gen1@web",
        "stamps": {},
        STAMP_HEADER: time.time(),
    }
    properties = {"priority": 0, "body_encoding": "base64", "delivery_tag": "8479045"}
    return json.dumps({"body": "A" * size, "headers": headers, "properties": properties})


if __name__ == "__main__":
    main("tick: one look at a broker", run)
