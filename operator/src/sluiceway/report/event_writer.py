"""Writes Kubernetes Events about TaskQueues. What cannot be written is lost, and stops nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from sluiceway.kube.errors import CONFLICT, NOT_FOUND, KubeError
from sluiceway.kube.requests import MERGE_PATCH, Requests
from sluiceway.report.event_series import Call, EventSeries
from sluiceway.report.notices import Notice, Subject
from sluiceway.report.requests import passes_by_itself
from sluiceway.workload.deployment import FIELD_MANAGER

log = logging.getLogger(__name__)


class EventWriter:
    """Notices go in as they come, and reach the cluster as Events that count.

        writer.tell(subject, notice_of(event))
        for notice in notices_between(before, after, at):
            writer.tell(subject, notice)

    Used from one event loop. It needs the verbs create and patch on events.events.k8s.io.
    """

    def __init__(
        self,
        client: Requests,
        *,
        reporter: str,
        may_write: Callable[[], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is written before ``run``.

        Args:
            reporter: this replica's name, such as its pod's.
            may_write: whether this replica is the one that writes; asked right before
                each request.
            clock: never goes back, seconds.
        """
        self._client = client
        self._reporter = reporter
        self._may_write = may_write
        self._clock = clock
        self._series = EventSeries(reporter=reporter)
        self._something = asyncio.Event()
        self._told: set[int | None] = set()

    def tell(self, subject: Subject, notice: Notice) -> None:
        """Let the cluster know."""
        self._series.tell(subject, notice, self._clock())
        self._something.set()

    async def run(self) -> None:
        """Write until cancelled. What is not written then is lost."""
        try:
            async with asyncio.TaskGroup() as calls:
                while True:
                    self._something.clear()
                    for call in self._series.take(self._clock()):
                        calls.create_task(self._make(call))
                    next_at = self._series.next_at()
                    wait_s = None if next_at is None else max(next_at - self._clock(), 0.0)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await self._something.wait()
        finally:
            self._series = EventSeries(reporter=self._reporter)

    async def _make(self, call: Call) -> None:
        path = f"/apis/events.k8s.io/v1/namespaces/{call.namespace}/events"
        try:
            if not self._may_write():
                self._series.refused(call)
                return
            query = {"fieldManager": FIELD_MANAGER}
            if call.creates:
                await self._client.request("POST", path, query=query, body=call.body)
            else:
                await self._client.request(
                    "PATCH",
                    f"{path}/{call.name}",
                    query=query,
                    body=call.body,
                    content_type=MERGE_PATCH,
                )
        except KubeError as exc:
            self._failed(call, exc)
        else:
            self._series.done(call, self._clock())
        finally:
            self._something.set()

    def _failed(self, call: Call, exc: KubeError) -> None:
        if call.creates and exc.status == CONFLICT:
            # Its name says what it tells and when: an earlier try was carried out.
            self._series.done(call, self._clock())
            return
        if not call.creates and exc.status == NOT_FOUND:
            self._series.vanished(call)  # Events last an hour in most clusters
            return
        if exc.status not in self._told:
            self._told.add(exc.status)
            log.warning(
                "Events cannot be written, such as %s/%s: %s", call.namespace, call.name, exc
            )
        if passes_by_itself(exc):
            self._series.failed(call, self._clock())
        else:
            self._series.refused(call)
