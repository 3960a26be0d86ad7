"""When everything that exists has been told once: before, nobody may act.

kopf's own way to know it (an index) wakes every object that waits whenever one more is
found: with ten thousand of them that takes minutes. Here the names are listed beside it,
and it is over when each of them has been told, or is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sluiceway.api.taskqueue import GROUP, VERSION
from sluiceway.cluster.specs import Specs
from sluiceway.kube.client import KubeClient
from sluiceway.kube.views import Metadata, Resource, View
from sluiceway.kube.watch import Watch

_ASK_AGAIN_S = 0.1


class _Named(View, frozen=True):
    """All that matters is that it exists."""

    metadata: Metadata = Metadata()


_API = f"/apis/{GROUP}/{VERSION}"
_TASKQUEUES = Resource(view=_Named, api=_API, plural="taskqueues")
_WORKERCLASSES = Resource(view=_Named, api=_API, plural="workerclasses")


async def call_the_roll(client: KubeClient, specs: Specs, *, namespaces: Sequence[str]) -> None:
    """Return once ``specs`` has all that exist; it is told so.

    Args:
        namespaces: whose TaskQueues; empty for those of the whole cluster.
    """
    taskqueues = Watch(client, _TASKQUEUES, changed=_nobody, namespaces=namespaces)
    classes = Watch(client, _WORKERCLASSES, changed=_nobody)
    watching = [asyncio.create_task(one.run()) for one in (taskqueues, classes)]
    try:
        await taskqueues.until_fresh()
        await classes.until_fresh()
        # Names, not keys: of what belongs to the cluster a key begins with «/».
        while taskqueues.objects.keys() - specs.taskqueues.keys() or (  # noqa: ASYNC110
            {one.metadata.name for one in classes.objects.values()} - specs.told_classes
        ):
            await asyncio.sleep(_ASK_AGAIN_S)  # right after a start only
    finally:
        for task in watching:
            task.cancel()
        await asyncio.wait(watching)
    specs.now_complete()


def _nobody(before: _Named | None, now: _Named | None) -> None:
    """It is looked at in its own time."""
