"""One kind of object, watched: a trimmed copy that says when it is not to be trusted.

    ListWatch ──▶ Store ──▶ whoever reads it, told of each change

The list ends with a mark, so that «complete» is known and not guessed. A watch that
the server ends in good order goes on from where it was; one that broke is followed by
a new list, and until that is complete the copy is stale: it may be read, and nobody
may scale on it. Written here because the client's own watch ends the program when a
connection breaks.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from sluiceway.kube.backoff import Backoff
from sluiceway.kube.errors import KubeError
from sluiceway.kube.listwatch import Asks, ListWatch, is_gone
from sluiceway.kube.store import Changed, Store
from sluiceway.kube.views import Resource, Watchable

log = logging.getLogger(__name__)

V = TypeVar("V", bound=Watchable)

SILENCE_S = 70.0
"""A watch that is silent for so long is broken: the server sends a bookmark a minute."""


class Watch(Generic[V]):
    """All objects of one kind in some namespaces, or in the whole cluster."""

    def __init__(
        self,
        client: Asks,
        resource: Resource[V],
        *,
        changed: Changed[V],
        namespaces: Sequence[str] = (),
        selector: str = "",
        silence_s: float = SILENCE_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing is seen before ``run``.

        Args:
            changed: called in the event loop; it must not fail, and not wait.
            namespaces: empty for all; each is a watch, and a right, of its own.
            selector: a label selector; empty for all objects.
            clock: monotonic, seconds.
        """
        self.objects: Store[V] = Store(changed)
        self._some_change = asyncio.Event()
        self._parts = [
            _Part(
                ListWatch(client, resource, namespace=one, selector=selector, silence_s=silence_s),
                self.objects,
                what=f"{resource.plural} in {one or 'all namespaces'}",
                namespace=one,
                silence_s=silence_s,
                clock=clock,
                turned=self._turned,
            )
            for one in (namespaces or (None,))
        ]

    @property
    def synced(self) -> bool:
        """Whether every list was complete once: the copy was whole, be it old by now."""
        return all(part.synced for part in self._parts)

    @property
    def stale_since(self) -> float | None:
        """When the copy was last known to be true, on the clock; None while it is."""
        since = [part.stale_since for part in self._parts]
        return min((one for one in since if one is not None), default=None)

    @property
    def fresh(self) -> bool:
        """Whether decisions may rest on it."""
        return self.synced and self.stale_since is None

    @property
    def problem(self) -> str | None:
        """Why it is stale, as a sentence."""
        return next((part.problem for part in self._parts if part.problem), None)

    async def until_fresh(self) -> None:
        """Return once decisions may rest on it."""
        while not self.fresh:
            self._some_change.clear()
            await self._some_change.wait()

    async def run(self) -> None:
        """Keep the copy true until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for part in self._parts:
                tasks.create_task(part.run())

    def _turned(self) -> None:
        self._some_change.set()


class _Part(Generic[V]):
    """What is seen of one namespace, or of all of them; a sink of its ``ListWatch``."""

    def __init__(
        self,
        source: ListWatch[V],
        store: Store[V],
        *,
        what: str,
        namespace: str | None,
        silence_s: float,
        clock: Callable[[], float],
        turned: Callable[[], None],
    ) -> None:
        self._source = source
        self._store = store
        self._what = what
        self._namespace = namespace
        self._silence_s = silence_s
        self._clock = clock
        self._turned = turned
        self._heard_at = clock()
        self._broken = True
        self.synced = False
        self.problem: str | None = None

    @property
    def stale_since(self) -> float | None:
        # A process that was frozen has not noticed yet that nothing was heard.
        if self._broken or self._clock() - self._heard_at > self._silence_s:
            return self._heard_at
        return None

    async def run(self) -> None:
        backoff = Backoff()
        while True:
            try:
                await self._source.follow(self)
            except KubeError as exc:
                self._broke(exc)
                backoff = backoff.after_failure(self._clock())
                if is_gone(exc) and backoff.failures == 1:
                    continue
                await asyncio.sleep(backoff.wait_s(random.random(), exc.retry_after_s))

    def seen(self, obj: V) -> None:
        self._hear()
        self._store.put(obj)

    def gone(self, obj: V) -> None:
        self._hear()
        before = self._store.get(obj.metadata.key)
        if before is not None and before.metadata.uid == obj.metadata.uid:
            # What is deleted may tell of its end what no change before did.
            self._store.put(obj)
        self._store.remove(obj.metadata.key)

    def listed(self, keys: frozenset[str]) -> None:
        self._store.keep_only(self._is_here, keys)
        if self.synced:
            log.info(
                "the view of %s is true again after %.1f s",
                self._what,
                self._clock() - self._heard_at,
            )
        self.synced = True
        self.problem = None
        self._broken = False
        self._heard_at = self._clock()
        self._turned()

    def alive(self) -> None:
        self._hear()

    def _hear(self) -> None:
        if self._broken:
            return  # a part of a new list proves nothing before its end
        was_stale = self.stale_since is not None
        self._heard_at = self._clock()
        if was_stale:
            self._turned()

    def _broke(self, exc: KubeError) -> None:
        sentence = f"the view of {self._what} is stale: {exc}"
        if sentence != self.problem:
            log.warning("%s; nothing that rests on it is changed", sentence)
        self.problem = sentence
        self._broken = True
        self._turned()

    def _is_here(self, obj: V) -> bool:
        return self._namespace is None or obj.metadata.namespace == self._namespace
