"""How many tasks a worker can run at once, and taking no more messages than that.

Celery 5.6 has ``worker_disable_prefetch`` for it. Before, and in the green pools until
5.7, the agent does the same: a message that waits in a busy worker is one that an idle
worker cannot have, and that a full worker cannot always give back.
"""

from __future__ import annotations

from typing import Any

from celery.worker import state


def slots_of(consumer: Any) -> int | None:
    """The pool's concurrency; None when the pool has ended already."""
    autoscaled = getattr(consumer.controller, "max_concurrency", None)
    pool = consumer.pool
    try:
        # Before Celery 5.7 a green pool's num_processes counts what runs now.
        return int(autoscaled or (pool.limit if pool.is_green else pool.num_processes))
    except AttributeError:
        return None


def take_into_free_slots_only(consumer: Any) -> None:
    """Let this connection's channel consume only while a slot is free."""
    qos = consumer.task_consumer.channel.qos
    celerys = qos.can_consume

    def can_consume() -> bool:
        slots = slots_of(consumer)
        full = slots is not None and len(state.reserved_requests) >= slots
        return not full and bool(celerys())

    qos.can_consume = can_consume
