"""The watch on a scripted server and a virtual clock: lists, marks, staleness, back-off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sluiceway.kube.backoff import FIRST_S, LONGEST_S, STABLE_S, Backoff
from sluiceway.kube.errors import KubeError, refused
from sluiceway.kube.store import Store
from sluiceway.kube.views import PODS, Pod, PodMetadata
from sluiceway.kube.watch import Watch


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def event(kind: str, name: str, version: int = 1, **metadata: Any) -> bytes:
    meta = {"name": name, "namespace": "shop", "uid": name, "resourceVersion": str(version)}
    return json.dumps({"type": kind, "object": {"metadata": {**meta, **metadata}}}).encode()


def mark(version: int, *, end: bool = False) -> bytes:
    annotations = {"k8s.io/initial-events-end": "true"} if end else {}
    metadata = {"resourceVersion": str(version), "annotations": annotations}
    return json.dumps({"type": "BOOKMARK", "object": {"metadata": metadata}}).encode()


def error(code: int, message: str) -> bytes:
    status = {"kind": "Status", "code": code, "message": message}
    return json.dumps({"type": "ERROR", "object": status}).encode()


class Script:
    """A server whose watches say what the test puts into the line."""

    server = "https://scripted"

    def __init__(self) -> None:
        self.line: asyncio.Queue[bytes | KubeError | None] = asyncio.Queue()
        self.queries: asyncio.Queue[Mapping[str, str]] = asyncio.Queue()

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None
    ) -> bytes:
        raise AssertionError("pages were not expected")

    @asynccontextmanager
    async def lines(
        self, path: str, *, query: Mapping[str, str], silence_s: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        self.queries.put_nowait(query)
        yield self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        while True:
            said = await self.line.get()
            self.line.task_done()
            if said is None:
                return
            if isinstance(said, KubeError):
                raise said
            yield said

    def says(self, *lines: bytes | KubeError | None) -> None:
        for line in lines:
            self.line.put_nowait(line)

    async def heard(self) -> None:
        """Return once everything that was said has been taken in."""
        await self.line.join()
        # The last one was handed over; taking it in needs no more than a few turns.
        for _ in range(5):
            await asyncio.sleep(0)


class Following:
    """A watch that runs on a script."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.script = Script()
        self.clock = Clock()
        self.told: list[tuple[str | None, str | None]] = []
        self.watch: Watch[Pod] = Watch(
            self.script, PODS, changed=self._changed, silence_s=70.0, clock=self.clock
        )
        # The waits themselves are Backoff's, which is tested without a loop.
        monkeypatch.setattr(Backoff, "wait_s", lambda *_: 0.0)

    def _changed(self, before: Pod | None, now: Pod | None) -> None:
        def name(pod: Pod | None) -> str | None:
            return pod.metadata.name if pod else None

        self.told.append((name(before), name(now)))

    @property
    def names(self) -> set[str]:
        return {pod.metadata.name for pod in self.watch.objects.values()}


@pytest.fixture
async def following(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Following]:
    following = Following(monkeypatch)
    task = asyncio.create_task(following.watch.run())
    yield following
    task.cancel()
    await asyncio.wait([task])


async def test_a_list_is_not_trusted_before_its_end_was_marked(following: Following) -> None:
    following.script.says(event("ADDED", "a"))
    await following.script.heard()
    assert following.names == {"a"}
    assert not following.watch.fresh
    following.script.says(mark(7, end=True))
    await following.watch.until_fresh()
    assert following.watch.stale_since is None


async def test_a_watch_that_ends_in_order_goes_on_from_the_last_version_it_was_told(
    following: Following,
) -> None:
    following.script.says(mark(7, end=True), event("ADDED", "a", 9), mark(12), None)
    await following.watch.until_fresh()
    first = await following.script.queries.get()
    second = await following.script.queries.get()
    assert "resourceVersion" not in first
    assert second["resourceVersion"] == "12"
    assert following.watch.fresh


async def test_what_a_new_list_does_not_name_is_told_as_gone(following: Following) -> None:
    following.script.says(event("ADDED", "a"), event("ADDED", "b"), mark(7, end=True))
    following.script.says(KubeError("the connection broke"))
    following.script.says(event("ADDED", "b"), mark(9, end=True))
    await following.script.heard()
    await following.watch.until_fresh()
    assert following.names == {"b"}
    assert following.told == [(None, "a"), (None, "b"), ("a", None)]


async def test_a_broken_watch_is_stale_since_it_was_last_heard(following: Following) -> None:
    following.script.says(mark(7, end=True))
    await following.watch.until_fresh()
    following.clock.now = 40.0
    following.script.says(mark(8))
    await following.script.heard()
    following.clock.now = 110.0
    following.script.says(KubeError("it does not answer in time"))
    await following.script.heard()
    assert following.watch.stale_since == 40.0
    assert following.watch.synced
    assert "pods in all namespaces is stale: it does not answer" in (following.watch.problem or "")


async def test_a_process_that_was_frozen_does_not_trust_what_it_saw_before(
    following: Following,
) -> None:
    following.script.says(mark(7, end=True))
    await following.watch.until_fresh()
    following.clock.now = 71.0
    assert following.watch.stale_since == 0.0


async def test_an_expired_version_is_followed_by_a_new_list(following: Following) -> None:
    following.script.says(event("ADDED", "a"), mark(7, end=True), None)
    following.script.says(error(410, "too old resource version: 7 (99)"))
    following.script.says(event("ADDED", "b"), mark(99, end=True))
    queries = [await following.script.queries.get() for _ in range(3)]
    await following.script.heard()
    assert ["resourceVersion" in query for query in queries] == [False, True, False]
    assert following.names == {"b"}
    assert following.watch.fresh


async def test_a_list_that_ends_before_its_end_is_no_list(following: Following) -> None:
    following.script.says(event("ADDED", "a"), None)
    await following.script.heard()
    assert not following.watch.synced
    assert "a list ended before its end" in (following.watch.problem or "")


async def test_what_cannot_be_understood_makes_the_view_stale_and_nothing_ends(
    following: Following,
) -> None:
    following.script.says(mark(7, end=True), b'{"type": "ADDED", "object": []}')
    await following.script.heard()
    assert "cannot be understood" in (following.watch.problem or "")
    following.script.says(mark(8, end=True))
    await following.watch.until_fresh()


def pod(name: str, uid: str, **labels: str) -> Pod:
    return Pod(metadata=PodMetadata(name=name, namespace="shop", uid=uid, labels=labels))


def test_an_object_that_was_made_anew_under_its_name_is_first_gone_and_then_new() -> None:
    told: list[tuple[Pod | None, Pod | None]] = []
    store: Store[Pod] = Store(lambda before, now: told.append((before, now)))
    store.put(pod("a", "1"))
    store.put(pod("a", "2"))
    assert told == [(None, pod("a", "1")), (pod("a", "1"), None), (None, pod("a", "2"))]


def test_a_change_of_what_is_not_kept_is_not_told() -> None:
    told: list[tuple[Pod | None, Pod | None]] = []
    store: Store[Pod] = Store(lambda before, now: told.append((before, now)))
    store.put(pod("a", "1", colour="blue"))
    store.put(pod("a", "1", colour="blue"))
    assert len(told) == 1


def test_waits_double_up_to_a_limit_and_are_never_shorter_than_half() -> None:
    backoff = Backoff()
    limits = []
    for second in range(8):
        backoff = backoff.after_failure(float(second))
        limits.append(backoff.wait_at_most_s)
        assert backoff.wait_s(0.0) == backoff.wait_at_most_s / 2
    assert limits == [FIRST_S, 1.0, 2.0, 4.0, 8.0, LONGEST_S, LONGEST_S, LONGEST_S]


def test_a_failure_after_a_good_while_counts_as_the_first() -> None:
    backoff = Backoff().after_failure(0.0).after_failure(1.0).after_failure(2.0)
    assert backoff.failures == 3
    assert backoff.after_failure(2.0 + STABLE_S + LONGEST_S).failures == 1


def test_a_server_that_asks_to_wait_is_waited_for() -> None:
    wait = refused(429, b'{"message": "queue is full"}', "7", "https://scripted")
    assert wait.retry_after_s == 7.0
    assert "asks to wait (queue is full)" in str(wait)
    assert Backoff().after_failure(0.0).wait_s(0.5, wait.retry_after_s) >= 7.0


def test_an_answer_of_a_proxy_in_between_is_shown_as_it_is() -> None:
    said = refused(502, b"<html>bad gateway</html>", None, "https://scripted")
    assert said.status == 502
    assert "it has a problem of its own (<html>bad gateway</html>)" in str(said)


def test_a_missing_right_and_a_full_quota_are_told_apart_though_both_are_forbidden() -> None:
    def said(message: str) -> str:
        body = json.dumps({"code": 403, "message": message}).encode()
        return str(refused(403, body, None, "https://scripted"))

    assert "a permission is missing" in said(
        'pods is forbidden: User "sluiceway" cannot list resource "pods"'
    )
    assert said('pods "a" is forbidden: exceeded quota: workers') == (
        'API server https://scripted: it refuses: pods "a" is forbidden: exceeded quota: workers'
    )
