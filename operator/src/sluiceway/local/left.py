"""What is left in the brokers when local mode ends.

Nobody starts its fleets in time from then on, so what was parked goes back to its lists. And a
server that local mode brought along forgets what stands in it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sluiceway.act.unpark import unpark
from sluiceway.broker.connection import Broker, Brokers
from sluiceway.broker.errors import BrokerError
from sluiceway.broker.scripts import Command
from sluiceway.observe import Watched
from sluiceway.report.deaths import messages
from sluiceway_worker.wire import dead_key


async def unpark_all(brokers: Brokers, fleets: Sequence[Watched]) -> None:
    """Whatever is parked for these fleets goes back to its lists."""
    await asyncio.gather(*(_unpark(brokers, one) for one in fleets))


async def _unpark(brokers: Brokers, watched: Watched) -> None:
    assert watched.address is not None, "checked when this run was made"
    await unpark(
        brokers.get(watched.address),
        fleet=watched.key,
        prefix=watched.prefix,
        queues=watched.broker_queues,
    )


async def left_in(server: Broker, fleets: Sequence[Watched]) -> int | None:
    """How many messages of these fleets wait there, dead letters included; None: unknown."""
    lists = {key for one in fleets for queue in one.broker_queues for key in queue.list_keys()}
    commands: list[Command] = [("LLEN", key) for key in sorted(lists)]
    commands += [("HLEN", dead_key(one.prefix, one.key)) for one in fleets]
    try:
        replies = await server.run(commands)
    except BrokerError:
        return None
    return sum(replies) if all(isinstance(one, int) for one in replies) else None


def sentence(count: int) -> str:
    """For whoever has just ended local mode."""
    return (
        f"{messages(count)} that waited ended with the server that was started for this run; "
        "in one of your own they stay: --broker redis://localhost:6379/0"
    )
