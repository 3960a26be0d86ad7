"""When a TaskQueue goes, nobody will start its fleet in time: nothing of it stays parked."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from sluiceway.broker.connection import Broker
from sluiceway.broker.errors import BrokerError
from sluiceway.broker.parked import lists_of, release_all
from sluiceway.broker.reading import BrokerQueue

log = logging.getLogger(__name__)

_AGAIN_S = (1.0, 3.0)


async def unpark(
    broker: Broker,
    *,
    fleet: str,
    prefix: str,
    queues: Iterable[BrokerQueue],
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> int:
    """Bring everything of a fleet back to its lists, due or not; how many messages went.

    Its workers may be there for a while: from here on they park nothing. Whoever comes
    after them finds its messages where Celery leaves them. A broker that cannot be
    reached is tried again twice, and told then.

    Args:
        fleet: ``namespace/name``.
    """
    lists = lists_of(queues)
    for wait_s in (*_AGAIN_S, None):
        try:
            moved = await release_all(broker, prefix=prefix, lists=lists, fleet=fleet)
        except BrokerError as exc:
            if wait_s is not None:
                await sleep(wait_s)
                continue
            log.warning(
                "%s is gone, and messages of it may be parked still (%s): bring them back "
                "with sluiceway eta release --url",
                fleet,
                exc,
            )
            return 0
        if moved:
            log.info("%s is gone: %d parked messages went back to its queues", fleet, moved)
        return moved
    return 0
