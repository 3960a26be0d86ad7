"""Whether a reading shows anything at all of a fleet that has no workers. Pure.

Most queues are empty most of the time. For a fleet at rest it is enough to know that
nothing came: observing and deciding anew would end where they ended before.
"""

from __future__ import annotations

from sluiceway.broker.parked import lists_of
from sluiceway.observe.reader import Reading
from sluiceway.observe.watched import Watched


def shows_nothing(reading: Reading, watched: Watched) -> bool:
    """Nothing waits for it, nothing is held or parked, nobody of it is heard, and all of
    that is known."""
    broker, prefix = reading.of(watched), watched.prefix
    if broker.problem is not None:
        return False
    workers, parked = broker.workers.get(prefix), broker.parked.get(prefix)
    if workers is None or workers.problem is not None or watched.key in workers.by_fleet:
        return False
    if parked is None or parked.problem is not None:
        return False
    if parked.lists and not parked.lists.keys().isdisjoint(lists_of(watched.broker_queues)):
        return False
    if not watched.reports and ((held := broker.held.get(prefix)) is None or held.count != 0):
        return False
    return all(
        (facts := broker.queues.get(queue)) is not None and facts.length == 0
        for queue in watched.broker_queues
    )
