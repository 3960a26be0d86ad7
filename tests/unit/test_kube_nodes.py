"""What a lost node proves of the workers that were there, and what it does not."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from sluiceway.broker.holders import Cause, End
from sluiceway.cluster.pods import FollowedPods
from sluiceway.kube.errors import KubeError
from sluiceway.kube.nodes import MISSING_FOR_S, OUT_OF_SERVICE, Nodes
from sluiceway.kube.views import Pod


class Cluster:
    """Its nodes on a scripted API server, and a clock that stands until it is turned."""

    server = "https://scripted"

    def __init__(self, *names: str, forbids: bool = False) -> None:
        self.now = 0.0
        self.forbids = forbids
        self.asked = asyncio.Event()
        self._line: asyncio.Queue[dict[str, Any] | KubeError] = asyncio.Queue()
        self.nodes = Nodes(self, clock=lambda: self.now)
        self._task: asyncio.Task[None] | None = None
        for name in names:
            self._line.put_nowait({"type": "ADDED", "object": node(name)})
        done = {"annotations": {"k8s.io/initial-events-end": "true"}, "resourceVersion": "1"}
        self._line.put_nowait({"type": "BOOKMARK", "object": {"metadata": done}})

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None
    ) -> bytes:
        self.asked.set()
        if self.forbids:
            raise KubeError("a permission is missing", status=403)
        return b"{}"

    @asynccontextmanager
    async def lines(
        self, path: str, *, query: Mapping[str, str], silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        while True:
            said = await self._line.get()
            self._line.task_done()
            if isinstance(said, KubeError):
                raise said
            yield json.dumps(said).encode()

    async def says(self, *said: dict[str, Any] | KubeError) -> None:
        """Return once it was heard."""
        for one in said:
            self._line.put_nowait(one)
        await self._line.join()
        await asyncio.sleep(0)

    @asynccontextmanager
    async def seen(self) -> AsyncIterator[Nodes]:
        task = asyncio.create_task(self.nodes.run())
        try:
            await self.nodes.watch.until_fresh()
            yield self.nodes
        finally:
            task.cancel()
            await asyncio.wait([task])


def node(name: str, *taints: str) -> dict[str, Any]:
    spec = {"taints": [{"key": key, "effect": "NoExecute"} for key in taints]} if taints else {}
    return {"metadata": {"name": name, "uid": name, "resourceVersion": "1"}, "spec": spec}


def on(where: str, name: str = "video-1") -> Pod:
    meta = {"name": name, "namespace": "shop"}
    return msgspec.convert({"metadata": meta, "spec": {"nodeName": where}}, Pod)


def pods_of(lost: Callable[[str], str | None]) -> FollowedPods:
    nobody: Any = None
    return FollowedPods(nobody, namespaces=(), selector="", changed=lambda *_: None, lost=lost)


async def test_a_node_that_is_deleted_is_lost_a_while_later() -> None:
    cluster = Cluster("a", "b")
    async with cluster.seen() as nodes:
        await cluster.says({"type": "DELETED", "object": node("a")})
        assert nodes.lost("a") is None
        cluster.now = MISSING_FOR_S
        assert (nodes.lost("a"), nodes.lost("b")) == ("node a is gone", None)


async def test_one_that_is_made_anew_meanwhile_is_not() -> None:
    cluster = Cluster("a")
    async with cluster.seen() as nodes:
        await cluster.says({"type": "DELETED", "object": node("a")})
        cluster.now = MISSING_FOR_S - 1
        await cluster.says({"type": "ADDED", "object": node("a")})
        cluster.now = MISSING_FOR_S + 1
        assert nodes.lost("a") is None


async def test_one_that_was_never_seen_is_lost_after_it_was_missing_for_a_while() -> None:
    """It was deleted while no operator looked; or a new pod is seen before its new node."""
    cluster = Cluster("a")
    async with cluster.seen() as nodes:
        assert nodes.lost("b") is None
        cluster.now = MISSING_FOR_S
        assert (nodes.lost("b"), nodes.lost("")) == ("node b is gone", None)


async def test_the_taint_by_which_a_person_says_so_counts_at_once_and_no_other_does() -> None:
    cluster = Cluster("a")
    async with cluster.seen() as nodes:
        not_ready = node("a", "node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
        await cluster.says({"type": "MODIFIED", "object": not_ready})
        assert nodes.lost("a") is None
        await cluster.says({"type": "MODIFIED", "object": node("a", OUT_OF_SERVICE)})
        assert nodes.lost("a") == "node a is out of service"
        await cluster.says({"type": "MODIFIED", "object": node("a")})
        assert nodes.lost("a") is None


async def test_on_a_stale_view_no_node_is_lost() -> None:
    cluster = Cluster("a")
    async with cluster.seen() as nodes:
        await cluster.says({"type": "MODIFIED", "object": node("a", OUT_OF_SERVICE)})
        assert nodes.lost("a") is not None
        await cluster.says(KubeError("the connection broke"))
        assert nodes.lost("a") is None


async def test_without_the_right_nothing_is_known_and_it_is_said_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sluiceway.kube.nodes._ASK_AGAIN_S", 0.0)
    cluster = Cluster("a", forbids=True)
    with caplog.at_level(logging.INFO, logger="sluiceway.kube"):
        async with asyncio.timeout(60):
            task = asyncio.create_task(cluster.nodes.run())
            for _ in range(3):
                cluster.asked.clear()
                await cluster.asked.wait()
            assert cluster.nodes.lost("b") is None
            # Rights that are given later are used.
            cluster.forbids = False
            await cluster.nodes.watch.until_fresh()
    task.cancel()
    await asyncio.wait([task])
    (said,) = [one for one in caplog.messages if "may not look at nodes" in one]
    assert "rbac.nodes" in said


def test_with_its_node_a_worker_has_ended_unless_it_is_heard_also_when_its_pod_is_gone() -> None:
    lost: dict[str, str] = {}
    pods = pods_of(lost.get)
    here, elsewhere = on("a"), on("b", "video-2")
    pods._pod(None, here)
    pods._pod(None, elsewhere)
    assert pods.ends("shop", "") == ()
    lost["a"] = "node a is gone"
    expected = End(worker="video-1", cause=Cause.NODE, reason="node a is gone", if_silent=True)
    assert pods.ends("shop", "") == (expected,)
    pods._pod(here, None)
    assert pods.ends("shop", "") == (expected,)
    assert not expected.cause.is_blamed
