"""What the API server is asked when a TaskQueue's status is to be written, and what becomes of
its answers: a scripted server, a virtual clock."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sluiceway.kube.errors import KubeError
from sluiceway.report.status_queue import REFUSED_S
from sluiceway.report.status_writer import StatusWriter

VIDEO = "shop/video"


def status(desired: int = 1) -> dict[str, Any]:
    return {"desiredReplicas": desired}


class Server:
    """Answers as it is told; by default it accepts."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.answers: list[KubeError | None] = []
        self.held: asyncio.Event | None = None
        self.news = asyncio.Event()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = "application/json",
    ) -> bytes:
        assert (method, content_type) == ("PATCH", "application/merge-patch+json")
        assert query == {"fieldManager": "sluiceway"}
        self.asked.append((path, body["status"]))
        self.news.set()
        if self.held is not None:
            await self.held.wait()
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return b"{}"

    async def until_asked(self, times: int) -> None:
        while len(self.asked) < times:
            self.news.clear()
            await self.news.wait()


class Clock:
    """Virtual seconds; the writer is woken by whatever is put next."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Edge:
    """A writer, its server, and what it called back."""

    def __init__(self) -> None:
        self.server, self.clock = Server(), Clock()
        self.may_write = True
        self.gone: list[str] = []
        self.told: list[bool] = []
        self.writer = StatusWriter(
            self.server,
            may_write=lambda: self.may_write,
            gone=self.gone.append,
            told=self.told.append,
            clock=self.clock,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.writer.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def poke(self, at: float) -> None:
        """Let time pass, and have the writer look."""
        self.clock.now = at
        self.writer.put("shop/other", status(desired=int(at)))
        await self.settle()

    def asked_for(self, name: str) -> list[Any]:
        return [body for path, body in self.server.asked if f"/{name}/" in path]


@pytest.fixture
async def edge() -> AsyncIterator[Edge]:
    edge = Edge()
    async with edge.running():
        yield edge


async def test_a_status_is_patched_where_it_belongs(edge: Edge) -> None:
    edge.writer.put(VIDEO, status())
    await edge.server.until_asked(1)

    assert edge.server.asked[0][0] == (
        "/apis/sluiceway.dev/v1alpha1/namespaces/shop/taskqueues/video/status"
    )


@pytest.mark.parametrize("code", [409, 429, 500, 503, None])
async def test_what_may_pass_is_tried_again(edge: Edge, code: int | None) -> None:
    edge.server.answers = [KubeError("not now", status=code)]
    edge.writer.put(VIDEO, status())
    await edge.server.until_asked(1)
    await edge.settle()
    await edge.poke(60.0)

    assert len(edge.asked_for("video")) == 2


async def test_each_request_is_counted_by_what_came_of_it(edge: Edge) -> None:
    edge.server.answers = [KubeError("a permission is missing", status=403)]
    edge.writer.put(VIDEO, status())
    await edge.server.until_asked(1)
    await edge.settle()
    await edge.poke(1.0)

    assert edge.told == [False, True]


async def test_a_refusal_is_told_once_and_tried_again_after_a_while(
    edge: Edge, caplog: pytest.LogCaptureFixture
) -> None:
    edge.server.answers = [KubeError("a permission is missing", status=403)] * 3
    with caplog.at_level(logging.WARNING):
        edge.writer.put(VIDEO, status())
        await edge.server.until_asked(1)
        edge.writer.put(VIDEO, status(desired=2))
        await edge.settle()
        assert len(edge.asked_for("video")) == 1
        edge.clock.now = REFUSED_S
        edge.writer.put(VIDEO, status(desired=3))
        await edge.settle()

    assert [body["desiredReplicas"] for body in edge.asked_for("video")] == [1, 3]
    assert [record.getMessage() for record in caplog.records] == [
        "the status of shop/video cannot be written: a permission is missing"
    ]


async def test_an_object_that_is_gone_is_called_back_and_forgotten(edge: Edge) -> None:
    edge.server.answers = [KubeError("not found", status=404)]
    edge.writer.put(VIDEO, status())
    await edge.server.until_asked(1)
    await edge.settle()

    assert edge.gone == [VIDEO]
    assert edge.writer.latest(VIDEO) == {}


async def test_who_may_not_write_asks_nothing_of_the_server(edge: Edge) -> None:
    edge.may_write = False
    edge.writer.put(VIDEO, status())
    await edge.settle()
    assert edge.server.asked == []
    edge.may_write = True
    await edge.poke(2.0)

    assert len(edge.asked_for("video")) == 1


async def test_leadership_that_ends_in_the_middle_of_a_write_leaves_nothing_for_certain() -> None:
    edge = Edge()
    edge.server.held = asyncio.Event()
    async with edge.running():
        edge.writer.put(VIDEO, status())
        await edge.server.until_asked(1)
    edge.server.held = None
    async with edge.running():
        edge.writer.put(VIDEO, status())
        await edge.server.until_asked(2)
        await edge.settle()
        edge.writer.put(VIDEO, status())
        await edge.settle()

    assert len(edge.server.asked) == 2
    assert edge.server.asked[1][1]["oldestTaskAge"] is None, "in full: nobody knew what was there"
