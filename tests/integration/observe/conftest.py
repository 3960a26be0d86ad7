"""A broker with real Celery messages in it, and the reader that is under test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import celery
import pytest

from sluiceway.api.taskqueue import TaskQueue
from sluiceway.broker.connection import Brokers
from sluiceway.decide.observation import Observation
from sluiceway.observe import BrokerReader, Memory, Reading, Watched, observe
from sluiceway.observe.watched import RunningWorker


@pytest.fixture
def a_fleet(redis_server: Any) -> Callable[..., Watched]:
    """A TaskQueue on the test's server: ``a_fleet("video", queues=[...], keyPrefix="shop:")``."""

    def make(
        name: str = "video", *, url: str | None = None, agent: str = "image", **spec: Any
    ) -> Watched:
        broker = {k: v for k, v in spec.items() if k != "queues"}
        taskqueue = TaskQueue.model_validate(
            {
                "metadata": {"name": name, "namespace": "shop"},
                "spec": {
                    "queues": spec.get("queues", []),
                    "broker": broker,
                    "worker": {"app": "tasks", "image": "shop:1", "agent": agent},
                },
            }
        )
        return Watched.of(taskqueue, url or redis_server.url)

    return make


@pytest.fixture
def publish(redis_server: Any) -> Iterator[Callable[..., None]]:
    """Publish a real Celery task: ``publish("video", priority=9, countdown=60, args=[...])``."""
    apps: list[celery.Celery] = []

    def send(queue: str, *, options: dict[str, Any] | None = None, **kwargs: Any) -> None:
        app = celery.Celery(broker=redis_server.url, set_as_current=False)
        app.conf.broker_transport_options = options or {}
        apps.append(app)
        app.send_task("tasks.work", queue=queue, **kwargs)

    yield send
    for app in apps:
        app.close()


@pytest.fixture
def until() -> Callable[..., Any]:
    """Ask again until the answer will do: ``await until(ask, lambda answer: ...)``."""

    async def ask_again(
        ask: Callable[[], Awaitable[Any]], will_do: Callable[[Any], bool], deadline_s: float = 60.0
    ) -> Any:
        async with asyncio.timeout(deadline_s):
            while True:
                answer = await ask()
                if will_do(answer):
                    return answer
                await asyncio.sleep(0.02)

    return ask_again


@pytest.fixture
async def brokers() -> AsyncIterator[Brokers]:
    brokers = Brokers(timeout_s=5.0)
    yield brokers
    await brokers.close()


@pytest.fixture
def reader(brokers: Brokers) -> BrokerReader:
    return BrokerReader(brokers)


@pytest.fixture
def look(reader: BrokerReader) -> Callable[..., Any]:
    """Read once and observe one fleet: ``await look(fleet, among=[...], memory=...)``."""

    async def once(
        fleet: Watched,
        *,
        among: list[Watched] | None = None,
        workers: list[RunningWorker] | None = None,
        memory: Memory | None = None,
        now: float = 1_000_000.0,
    ) -> Observation:
        reading: Reading = await reader.read(among or [fleet])
        observation, _ = observe(
            reading,
            fleet,
            workers=workers or [],
            replicas=len(workers or []),
            memory=memory or Memory(),
            now=now,
        )
        return observation

    return once
