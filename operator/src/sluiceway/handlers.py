"""What kopf does here: it tells of every TaskQueue and WorkerClass, and nothing else.

Level-based and thin: an object is put where all are kept, and whoever acts reads it
there. Only events are handled, so nothing is written to a user's object: no finalizer,
no annotation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import kopf

from sluiceway.api.taskqueue import GROUP, VERSION
from sluiceway.cluster.specs import Specs
from sluiceway.kube.client import Connection

TASKQUEUES = (GROUP, VERSION, "taskqueues")
WORKERCLASSES = (GROUP, VERSION, "workerclasses")


def registry_for(
    specs: Specs, connection: Callable[[], Awaitable[Connection]]
) -> kopf.OperatorRegistry:
    """The handlers, writing into ``specs``.

    Args:
        connection: the API server and the credentials for it, read anew when they
            are refused.
    """
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        now = await connection()
        return kopf.ConnectionInfo(
            server=now.server,
            ca_path=now.ca_path,
            insecure=not now.verify,
            scheme="Bearer" if now.token else None,
            token=now.token,
            certificate_path=now.certificate_path,
            private_key_path=now.private_key_path,
        )

    # Coroutines, though nothing is waited for: kopf runs plain functions in other threads.
    @kopf.on.event(*TASKQUEUES, registry=registry)
    async def taskqueue_event(
        event: Any, body: kopf.Body, uid: str, namespace: str | None, name: str, **_: Any
    ) -> None:
        if event["type"] == "DELETED":
            specs.remove_taskqueue(f"{namespace}/{name}", uid)
        else:
            specs.put_taskqueue(_plain(body))

    @kopf.on.event(*WORKERCLASSES, registry=registry)
    async def workerclass_event(event: Any, body: kopf.Body, name: str, **_: Any) -> None:
        if event["type"] == "DELETED":
            specs.remove_class(name)
        else:
            specs.put_class(_plain(body))

    return registry


async def watch_specs(
    registry: kopf.OperatorRegistry, *, namespaces: Sequence[str], stop: asyncio.Event
) -> None:
    """Keep telling until ``stop`` is set.

    Args:
        namespaces: whose TaskQueues; empty for those of the whole cluster.

    Raises:
        Exception: it cannot go on, such as without credentials.
    """
    # It has no peers, so who it is matters to nobody; but kopf would ask for the name of
    # the user, and a number in an image has none.
    identity: Any = "sluiceway"
    # Not run by kopf itself: at its end it would cancel every task of this loop.
    tasks = await kopf.spawn_tasks(
        identity=identity,
        registry=registry,
        settings=settings(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        stop_flag=stop,
    )
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in ended:
        if not task.cancelled():
            task.result()


def settings() -> kopf.OperatorSettings:
    """Under these kopf holds 10,000 objects in 85 MB and needs list and watch only."""
    chosen = kopf.OperatorSettings()
    chosen.scanning.disabled = True
    chosen.watching.initial_streaming = True
    chosen.watching.server_timeout = 290
    chosen.queueing.idle_timeout = 0.2
    chosen.posting.enabled = False
    chosen.persistence.diffbase_storage = _NoDifferences()
    return chosen


class _NoDifferences(kopf.DiffBaseStorage):
    """What differs from the time before is for handlers of changes. Here are none, and kopf
    would copy all of an object at each of its events, which is more than half of the cost."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is written to a user's object."""


def _plain(body: kopf.Body) -> dict[str, Any]:
    """The object itself; kopf hands out a view of it."""
    return dict(body)
