"""Finds the requests that this worker holds and has provably not handed to its pool.

A message that is taken becomes a ``Request``, and on its way to running it can wait in
four places; from each it can be taken back without a race, on the consumer's thread:

* the semaphore of the prefork pool: more was reserved than children are free;
* the timer: its ETA is in the future;
* a token bucket: its task has a rate limit;
* the thread pool's queue (``Runs.withdraw_queued``).

What is past them, in a child's pipe or in a greenlet, runs within milliseconds and is
left to run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.worker import state
from celery.worker.request import Request

from sluiceway_worker.intake import Taken
from sluiceway_worker.takes import Take

if TYPE_CHECKING:
    from collections.abc import Iterable


def withdraw(consumer: Any) -> list[Request]:
    """Take all of them out of those places; Celery's counting of its prefetch follows."""
    scheduled = list(_from_timer(consumer.timer))
    for _ in scheduled:
        # Celery widened its prefetch by one for each (strategy) until its ETA.
        consumer.qos.decrement_eventually()
    return [
        *scheduled,
        *_from_semaphore(getattr(consumer.controller, "semaphore", None)),
        *_from_buckets(consumer.task_buckets.values()),
    ]


def cancel(consumer: Any, timer: Any) -> None:
    """Take one request out of the timer; ``timer`` is what the timer returned for it."""
    consumer.timer.cancel(timer)
    getattr(timer, "entry", timer).args = ()
    consumer.qos.decrement_eventually()


def rate_limited(consumer: Any) -> int:
    """How many requests wait for a token of their task's rate limit."""
    return sum(len(bucket.contents) for bucket in list(consumer.task_buckets.values()) if bucket)


def _from_semaphore(semaphore: Any) -> Iterable[Request]:
    waiting = getattr(semaphore, "_waiting", None)
    if not waiting:
        return []
    entries = [waiting.popleft() for _ in range(len(waiting))]
    mine = []
    for entry in entries:
        _callback, args, _kwargs = entry
        if args and _is_ours(args[0]):
            mine.append(args[0])
        else:
            waiting.append(entry)
    return mine


def _from_timer(timer: Any) -> Iterable[Request]:
    for waiting in list(timer.schedule.queue):
        entry = waiting.entry
        if entry.canceled or not entry.args or not _is_ours(entry.args[0]):
            continue
        request = entry.args[0]
        if request in state.reserved_requests:
            continue  # Its time came just now; a greenlet is about to run it.
        # The event loop's timer is a heap of tuples, a green pool's a set of greenlets.
        timer.cancel(entry if isinstance(waiting, tuple) else waiting)
        # A cancelled entry stays in the heap until its time: it must not keep the message.
        entry.args = ()
        yield request


def _from_buckets(buckets: Iterable[Any]) -> Iterable[Request]:
    mine = []
    for bucket in filter(None, buckets):
        mine += [request for request, _tokens in bucket.contents if _is_ours(request)]
        bucket.clear_pending()
    return mine


def _is_ours(candidate: Any) -> bool:
    return isinstance(candidate, Request) and isinstance(
        getattr(candidate.message, "sluiceway", None), (Taken, Take)
    )
