"""What Celery publishes for a task before it acknowledges it: its retry, the next link of its
chain, its callbacks.

Where the broker refuses that, Celery acknowledges all the same, and the work is lost: it gives
up after a second, and at once where the server takes no writes. Here nothing is given up that
passes:

    the server's memory is full     it is published by a script that may go on without any: it
                                    takes the place of the message that is acknowledged next
    it takes no writes for a while, is tried again until it is published; the task holds its
    or cannot be reached            slot so long, and nothing else could be taken

What a task publishes by itself is as ever: it is to hear of a broker's trouble.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from functools import wraps
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import redis
from celery.app.amqp import AMQP
from celery.app.base import Celery
from celery.app.task import Task
from celery.utils.log import get_logger
from kombu.transport import redis as redis_transport
from kombu.utils.json import dumps

from sluiceway_worker.attentive import FULL, NOT_HERE, NOT_NOW, is_full, word_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = get_logger(__name__)

# kombu says that it is typed, and most of it is not.
kombu_redis: Any = redis_transport

PUSH_WHILE_FULL = """
-- A server without memory refuses a script by its first write. This one needs none.
redis.call('HDEL', KEYS[2], '')
return redis.call('LPUSH', KEYS[1], ARGV[1])
"""
"""Put a message into a list. KEYS: the list, ``unacked``. ARGV: the message."""

_PAUSES_S = (1.0, 2.0, 4.0, 5.0)

_onward: ContextVar[bool] = ContextVar("sluiceway_onward", default=False)
"""Whether what is published now stands for a message that is acknowledged next."""


def connect() -> None:
    """From now on, in this process and in those that it forks, it is not given up."""
    _lay_over(Task, "retry", _stands_for_a_message)
    # Celery has it since 5.7. Before that a callback looks like what a task publishes by itself.
    _lay_over(AMQP, "_retry_publish", _stands_for_a_message)
    _lay_over(Celery, "send_task", _until_published)
    _lay_over(kombu_redis.Channel, "_queue_bind", _or_is_bound)
    _lay_over(kombu_redis.Channel, "_put", _or_by_script)


def _lay_over(owner: Any, name: str, over: Callable[[Any], Any]) -> None:
    below = vars(owner).get(name)
    if below is not None and not hasattr(below, "sluiceway"):
        laid = over(below)
        laid.sluiceway = True
        setattr(owner, name, laid)


def _stands_for_a_message(below: Any) -> Any:
    @wraps(below)
    def publish(*args: Any, **kwargs: Any) -> Any:
        token = _onward.set(True)
        try:
            return below(*args, **kwargs)
        finally:
            _onward.reset(token)

    return publish


def _until_published(below: Any) -> Any:
    @wraps(below)
    def send_task(*args: Any, **kwargs: Any) -> Any:
        pauses: Iterator[float] = chain(_PAUSES_S, repeat(_PAUSES_S[-1]))
        while True:
            try:
                return below(*args, **kwargs)
            except Exception as exc:
                if not (_onward.get() and _passes(exc)):
                    raise
                pause_s = next(pauses)
                logger.warning(
                    "Not published yet, will try again in %.0f s; its task is not over before: %s",
                    pause_s,
                    exc,
                )
            # Of the module: an event loop may have its own in place of it.
            time.sleep(pause_s)

    return send_task


def _passes(exc: BaseException | None) -> bool:
    """Whether it is a broker's trouble that will be over."""
    while exc is not None:
        if isinstance(exc, (redis.ConnectionError, redis.TimeoutError)):
            return True
        if (word := word_of(exc)) in NOT_HERE or word in NOT_NOW:
            return word != FULL
        exc = exc.__cause__
    return False


def _or_is_bound(below: Any) -> Any:
    @wraps(below)
    def _queue_bind(self: Any, exchange: str, routing_key: str, pattern: str, queue: str) -> Any:
        try:
            return below(self, exchange, routing_key, pattern, queue)
        except redis.ResponseError as exc:
            bound = (routing_key or "", pattern or "", queue or "")
            if not _may_take_its_place(exc) or bound not in map(tuple, self.get_table(exchange)):
                raise

    return _queue_bind


def _or_by_script(below: Any) -> Any:
    @wraps(below)
    def _put(self: Any, queue: str, message: Any, **kwargs: Any) -> Any:
        try:
            return below(self, queue, message, **kwargs)
        except redis.ResponseError as exc:
            if not _may_take_its_place(exc):
                raise
        source = self._q_for_pri(queue, self._get_message_priority(message, reverse=False))
        keys = [f"{self.global_keyprefix}{name}" for name in (source, self.unacked_key)]
        # Without kombu's key prefixing, which knows no EVAL.
        return redis.Redis(connection_pool=self.pool).eval(
            PUSH_WHILE_FULL, len(keys), *keys, dumps(message)
        )

    return _put


def _may_take_its_place(exc: Exception) -> bool:
    return _onward.get() and is_full(exc)
