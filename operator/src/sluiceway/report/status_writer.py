"""Writes TaskQueues' statuses to the API server, for as long as this replica leads."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from sluiceway.api.taskqueue import GROUP, VERSION
from sluiceway.kube.errors import NOT_FOUND, KubeError
from sluiceway.kube.requests import MERGE_PATCH, Requests
from sluiceway.report.requests import may_have_worked, passes_by_itself
from sluiceway.report.status_queue import IN_FLIGHT, StatusQueue, Write
from sluiceway.workload.deployment import FIELD_MANAGER

log = logging.getLogger(__name__)

_NOT_ALLOWED_S = 1.0
"""Until it is asked again whether this replica may write."""

_SAME_TROUBLE_S = 300.0
"""The same trouble is told once, and again after so long."""


class StatusWriter:
    """Statuses go in as they are made, and reach the cluster as the queue has it.

        writer.adopt("shop/video", encoded(status))     # as the watch shows it
        writer.put("shop/video", resource_status(seen, writer.latest("shop/video")))

    Used from one event loop. It needs the verb patch on taskqueues/status.
    """

    def __init__(
        self,
        client: Requests,
        *,
        may_write: Callable[[], bool],
        gone: Callable[[str], None],
        told: Callable[[bool], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
        in_flight: int = IN_FLIGHT,
    ) -> None:
        """Nothing is written before ``run``.

        Args:
            may_write: whether this replica is the one that writes; asked right before
                each request.
            gone: told the key of an object that does not exist any more.
            told: after each request, whether it was carried out.
            clock: never goes back, seconds.
        """
        self._client = client
        self._may_write = may_write
        self._gone = gone
        self._told = told
        self._clock = clock
        self._queue = StatusQueue(in_flight=in_flight)
        self._something = asyncio.Event()
        self._trouble: tuple[str, float] | None = None

    def adopt(self, key: str, status: bytes) -> None:
        """Take in what the object carries, as ``status_queue.encoded`` makes it. It counts
        until the first ``put`` of a term."""
        self._queue.adopt(key, status, self._clock())

    def put(self, key: str, status: Mapping[str, Any]) -> None:
        """Say what the status of ``namespace/name`` should be from now on."""
        self._queue.put(key, status, self._clock())
        self._something.set()

    def latest(self, key: str) -> dict[str, Any]:
        """What was put last, or else what the object carries; empty where neither is known."""
        return self._queue.latest(key)

    def drop(self, key: str) -> None:
        """Forget an object that was deleted; a write under way is not called back."""
        self._queue.drop(key)

    async def run(self) -> None:
        """Write until cancelled. What is not written then is for whoever writes next."""
        try:
            async with asyncio.TaskGroup() as writes:
                while True:
                    self._something.clear()
                    for write in self._queue.take(self._clock()):
                        writes.create_task(self._write(write))
                    next_at = self._queue.next_at()
                    wait_s = None if next_at is None else max(next_at - self._clock(), 0.0)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(wait_s):
                            await self._something.wait()
        finally:
            self._queue.rest()

    async def _write(self, write: Write) -> None:
        namespace, _, name = write.key.partition("/")
        path = f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/taskqueues/{name}/status"
        queue = self._queue
        try:
            if not self._may_write():
                queue.put_off(write, self._clock(), _NOT_ALLOWED_S)
                return
            await self._client.request(
                "PATCH",
                path,
                query={"fieldManager": FIELD_MANAGER},
                body={"status": write.status},
                content_type=MERGE_PATCH,
            )
        except KubeError as exc:
            self._told(False)
            self._failed(write, exc)
        except BaseException:
            # Cancelled, or a defect: what is there now is not known.
            queue.failed(write, self._clock(), luck=random.random(), may_have_worked=True)
            raise
        else:
            self._told(True)
            queue.written(write, self._clock())
        finally:
            self._something.set()

    def _failed(self, write: Write, exc: KubeError) -> None:
        now = self._clock()
        if exc.status == NOT_FOUND:
            self._queue.refused(write, now)
            self._queue.drop(write.key)
            self._gone(write.key)
            return
        self._tell(write.key, str(exc), now)
        if passes_by_itself(exc):
            self._queue.failed(
                write,
                now,
                luck=random.random(),
                retry_after_s=exc.retry_after_s,
                may_have_worked=may_have_worked(exc),
            )
        else:
            self._queue.refused(write, now)

    def _tell(self, key: str, sentence: str, now: float) -> None:
        told = self._trouble
        if told is not None and told[0] == sentence and now - told[1] < _SAME_TROUBLE_S:
            return
        self._trouble = (sentence, now)
        log.warning("the status of %s cannot be written: %s", key, sentence)
