"""What the operator writes into a broker: drain leases, and the tidying of its own set.

A lease asks one incarnation to drain for as long as it is renewed. Setting,
renewing and withdrawing the leases of a whole fleet is one round trip.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from sluiceway.broker.connection import Broker
from sluiceway.broker.errors import BrokerError, sentence
from sluiceway.broker.scripts import Script, ScriptCall
from sluiceway_worker.wire import (
    DRAIN_LEASE_TTL_MS,
    drain_key,
    epoch_key,
    heartbeat_key,
    workers_key,
)

EPOCH_TTL_MS = 120_000
"""Longer than any command can be on its way. It ends, so that a Lease that was deleted, and
counts from one again, does not keep its leader from asking for ever."""

_HOLD = Script.load("hold_leases", reads_only=False)
_FORGET = Script.load("forget_workers", reads_only=False)


async def hold_leases(
    broker: Broker,
    *,
    prefix: str,
    asker: str,
    epoch: int = 0,
    hold: Iterable[str] = (),
    withdraw: Iterable[str] = (),
) -> None:
    """Ask incarnations to drain for the next 15 seconds, and recall others.

    Args:
        prefix: the application's key prefix.
        asker: who asks, for whoever looks at the key.
        epoch: of the asker's leadership. Once a higher one was heard, lower ones are refused.
        hold: incarnations whose lease is set, or renewed.
        withdraw: incarnations that are to consume again at once.

    Raises:
        BrokerError: not all of it was done. Doing it again is safe; a lease that
            could not be withdrawn ends by itself.
    """
    held, withdrawn = sorted(set(hold)), sorted(set(withdraw))
    if not held and not withdrawn:
        return
    call = ScriptCall(
        script=_HOLD,
        args=(
            epoch_key(prefix),
            EPOCH_TTL_MS,
            epoch,
            asker,
            DRAIN_LEASE_TTL_MS,
            drain_key(prefix, ""),
            len(held),
            *held,
            *withdrawn,
        ),
    )
    (reply,) = _check(broker, await broker.run([call]))
    if not reply:
        raise BrokerError(
            f"broker {broker.address}: a later leader has asked for drains; this one is deposed"
        )


async def forget_workers(broker: Broker, *, prefix: str, incarnations: Iterable[str]) -> int:
    """Take incarnations off the list of workers, unless their heartbeat is there again.

    The list grows by one with every start of a worker, and a heartbeat ends by
    itself while its member of the set does not.

    Returns:
        How many were taken off.

    Raises:
        BrokerError: it could not be done.
    """
    gone = sorted(set(incarnations))
    if not gone:
        return 0
    keys = (workers_key(prefix), heartbeat_key(prefix, ""))
    (reply,) = _check(broker, await broker.run([ScriptCall(script=_FORGET, args=(*keys, *gone))]))
    return int(reply)


def _check(broker: Broker, replies: Sequence[Any]) -> Sequence[Any]:
    for reply in replies:
        if isinstance(reply, ResponseError):
            raise BrokerError(sentence(reply, broker.address))
    return replies
