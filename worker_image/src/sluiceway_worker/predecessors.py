"""A new start in the same pod brings back what the container before it held.

A container that crashed, or that the kernel ended for want of memory, is started again in
its pod within seconds. That this process runs in another life of the container is the
proof that the one before is over, children included; a new process with a new boot id
would prove nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.utils.log import get_logger

from sluiceway_worker import wire
from sluiceway_worker.fate import Death
from sluiceway_worker.recovery import Place, recover, recovery

if TYPE_CHECKING:
    from collections.abc import Iterator

    import redis

    from sluiceway_worker.finished import Asks
    from sluiceway_worker.identity import Identity
    from sluiceway_worker.recovery import Recovered

logger = get_logger(__name__)


def look_back(
    client: redis.Redis,
    place: Place,
    identity: Identity,
    *,
    now: float,
    max_deliveries: int,
    finished: Asks | None = None,
) -> list[Recovered]:
    """Bring back what earlier lives of this worker's own container held.

    Args:
        client: without key prefixing, connected to the broker's database.
        finished: as in ``recovery``.

    Raises:
        redis.RedisError, RecoveryError: not all of it was done; others may do it later.
    """
    raw: Any = client.hgetall(wire.holders_key(place.prefix))
    done = []
    for death in deaths_before(raw, identity, now):
        steps = recovery(
            place, death, fleet=identity.fleet, max_deliveries=max_deliveries, finished=finished
        )
        recovered = recover(client, steps)
        done.append(recovered)
        logger.warning(
            "%s: %d messages went back to their queues, %d had succeeded, %d are dead letters (%s)",
            *(death.reason, recovered.returned, recovered.finished, recovered.dead),
            recovered.names() or "it ran nothing",
        )
    return done


def deaths_before(holders: dict[bytes, bytes], identity: Identity, now: float) -> Iterator[Death]:
    """The deaths that this start proves, of what stands in ``wire.holders_key``."""
    for name, text in holders.items():
        incarnation, holder = name.decode("utf-8", "replace"), wire.Holder.from_text(text)
        if (
            incarnation == identity.incarnation
            or incarnation.rpartition(":")[0] != identity.name
            or holder.fleet != identity.fleet
            or not (holder.container and identity.container)
            or holder.container == identity.container
        ):
            continue
        same_boot = _boot(holder.container) == _boot(identity.container)
        how = "its container ended" if same_boot else "its machine was started anew"
        yield Death(
            incarnation=incarnation,
            at=now,
            reason=how,
            # What ends in order holds nothing; a machine's end is nobody's fault.
            blamed=same_boot,
        )


def _boot(container: str) -> str:
    return container.partition(":")[0]
