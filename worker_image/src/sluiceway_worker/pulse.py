"""The heartbeat's own thread: says how the worker is, and hears whether it is to drain.

It has a connection of its own with short timeouts, so that neither the broker's trouble
nor a task that runs in the worker's main thread (solo) holds it up, nor does it ever hold
up the worker. One round trip a beat: the heartbeat is written, the lease is read.

A server whose memory is full refuses that, and its workers would fall silent while they work
it free. It lets a script go on that has begun with what needs no memory, so it is told by one.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from time import monotonic, time
from typing import TYPE_CHECKING, Any

import redis
from celery.utils.log import get_logger

from sluiceway_worker import wire
from sluiceway_worker.attentive import is_full

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluiceway_worker.heartbeat import Heartbeat

logger = get_logger(__name__)

_TIMEOUT_S = 2.0
_REFRESH_FACTS_S = 30.0
"""So long at most a worker stays with a server that its address does not lead to any more."""
_MOVES = 5
_MOVES_WITHIN_S = 300.0
"""Not more often: behind an address that is shared by two servers, each look may find the other.
Two that take over from each other soon are followed at once."""
_RUN_ID = re.compile(r"^run_id:(\w+)", re.MULTILINE)
_BACK_OFF_S = (1.0, 2.0, 4.0, 5.0)
_GAPS_S = (0.1, 0.1, 0.2, 0.4)
"""Beats on change are at least so far apart: a single change is told at once, under a
steady stream of changes the gap grows to the last value, so that it stays cheap."""

TELL_WHILE_FULL = """
-- A server without memory refuses a script by its first write. This one needs none.
redis.call('SREM', KEYS[2], '')
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SADD', KEYS[2], ARGV[3])
return redis.call('GET', KEYS[3])
"""
"""Write a heartbeat that takes the place of the last one, and read the lease.

KEYS: the heartbeat, the set of workers, the lease. ARGV: the heartbeat, for how long it lives
(ms), the incarnation.
"""


@dataclass(frozen=True)
class Broker:
    """Where this worker's messages really are, as the heartbeat says it."""

    client: redis.Redis
    prefix: str
    db: int
    visibility_timeout_s: float
    run_id: str = ""
    """Of the server that the channel is connected to; "" where it may not be asked."""

    @classmethod
    def of_channel(cls, channel: Any) -> Broker:
        """As the application's own kombu channel is connected, with a pool of our own."""
        pool = channel._get_pool()
        for name in ("socket_timeout", "socket_connect_timeout"):
            if name in pool.connection_kwargs:
                pool.connection_kwargs[name] = _TIMEOUT_S
        return cls(
            client=redis.Redis(connection_pool=pool),
            prefix=channel.global_keyprefix,
            db=int(pool.connection_kwargs.get("db") or 0),
            visibility_timeout_s=float(channel.visibility_timeout),
            # Not by the channel's own client: an answer of kombu's may be on its way there.
            run_id=_run_id(redis.Redis(connection_pool=channel.pool)),
        )


class Pulse:
    """Beats until stopped.

    Args:
        incarnation: whose heartbeat it is.
        compose: the heartbeat of this moment; called in this thread.
        on_lease: called after each beat with whether a drain lease exists.
        on_beat: called after each beat, with a client that knows a timeout; may raise what
            that raises.
        on_turn: called on every wake-up, before the beat; its result is how many
            seconds to sleep at most before the next.
        on_moved: called when the broker's address leads to another server than it did.
        on_error: called in the handling of an unexpected error; the thread then ends.
    """

    def __init__(
        self,
        incarnation: str,
        *,
        compose: Callable[[Pulse, Broker], Heartbeat],
        on_lease: Callable[[bool], None],
        on_beat: Callable[[redis.Redis], None],
        on_turn: Callable[[], float],
        on_moved: Callable[[], None],
        on_error: Callable[[], None],
    ) -> None:
        self._incarnation = incarnation
        self._compose = compose
        self._on_lease = on_lease
        self._on_beat = on_beat
        self._on_turn = on_turn
        self._on_moved = on_moved
        self._moved_at: deque[float] = deque(maxlen=_MOVES)
        self._left: Broker | None = None
        self._on_error = on_error
        self._broker: Broker | None = None
        self._beaten: Broker | None = None
        self._thread: Thread | None = None
        # A SimpleQueue may be put to from a signal handler; an Event may not.
        self._calls: SimpleQueue[bool] = SimpleQueue()
        self._poked = False
        self._stopped = False
        self._failures = 0
        self._facts_until = 0.0
        self._full = False
        """Whether the broker had no memory when the last heartbeat went without a script."""
        self.run_id = ""
        self.clock_offset_s = 0.0
        """The broker's clock minus this machine's."""

    def connect(self, broker: Broker) -> None:
        """Beat there from now on."""
        self._broker = broker
        self._facts_until = 0.0
        if self._thread is None:
            self._thread = Thread(target=self._run, name="sluiceway-pulse", daemon=True)
            self._thread.start()
        self.urge()

    def poke(self) -> None:
        """Something changed: beat soon. Cheap, from any thread."""
        if not self._poked:
            self._poked = True
            self._calls.put(False)

    def urge(self) -> None:
        """Something changed that somebody waits for: beat now. Also from a signal handler."""
        self._calls.put(True)

    def stop(self, *, say_goodbye: bool) -> None:
        """End the thread; with a goodbye the heartbeat is gone at once, else it expires."""
        self._stopped = True
        self.urge()
        thread, broker = self._thread, self._broker
        if thread is not None and say_goodbye:
            thread.join(timeout=2 * _TIMEOUT_S)
        if broker is None or not say_goodbye:
            return
        try:
            with broker.client.pipeline(transaction=False) as pipe:
                pipe.delete(wire.heartbeat_key(broker.prefix, self._incarnation))
                pipe.srem(wire.workers_key(broker.prefix), self._incarnation)
                pipe.execute()
        except (redis.RedisError, OSError) as exc:
            logger.info("The heartbeat is left to expire: %s", exc)

    def _run(self) -> None:
        try:
            quick_beats = 0
            sleep_s = 0.0
            last = float("-inf")
            while True:
                changed = self._wait(sleep_s)
                if self._stopped:
                    return
                turn_s = self._on_turn()
                now = monotonic()
                due_s = last + wire.HEARTBEAT_EVERY_S - now
                if changed or due_s <= 0:
                    last = now
                    sleep_s = self._beat()
                    quick_beats = quick_beats + 1 if changed else 0
                    if changed:
                        self._rest(_GAPS_S[min(quick_beats, len(_GAPS_S)) - 1])
                else:
                    sleep_s = due_s
                sleep_s = min(sleep_s, turn_s)
        except Exception:
            self._on_error()

    def _wait(self, timeout_s: float) -> bool:
        """Whether somebody called before the time was over."""
        try:
            self._calls.get(timeout=max(0.0, timeout_s))
        except Empty:
            return False
        self._poked = False
        return True

    def _rest(self, gap_s: float) -> None:
        """Let changes gather; only an urgent call ends it, and is then served next."""
        until = monotonic() + gap_s
        gathered = False
        while (left_s := until - monotonic()) > 0:
            try:
                urgent = self._calls.get(timeout=left_s)
            except Empty:
                break
            gathered = True
            if urgent:
                break
        if gathered:
            self._calls.put(False)

    def _beat(self) -> float:
        """One round trip; how long the next may wait."""
        broker = self._broker
        if broker is None:
            return wire.HEARTBEAT_EVERY_S
        before, self._beaten = self._beaten, broker
        if before is not None and before is not broker:
            # Here and not in connect: another thread would cut it under a running command.
            before.client.connection_pool.disconnect()
        try:
            self._refresh_facts(broker)
            lease = self._tell(broker, self._compose(self, broker).to_json())
            self._on_beat(broker.client)
        except (redis.RedisError, OSError) as exc:
            if self._failures == 0:
                logger.info("No heartbeat while the broker cannot be reached: %s", exc)
            self._facts_until = 0.0
            back_off_s = _BACK_OFF_S[min(self._failures, len(_BACK_OFF_S) - 1)]
            self._failures += 1
            return back_off_s
        if self._failures:
            logger.info("The heartbeat is back")
            self._failures = 0
        self._on_lease(lease is not None)
        return wire.HEARTBEAT_EVERY_S

    def _tell(self, broker: Broker, text: str) -> Any:
        """Write the heartbeat; the lease, None where there is none."""
        prefix, me = broker.prefix, self._incarnation
        keys = (
            wire.heartbeat_key(prefix, me),
            wire.workers_key(prefix),
            wire.drain_key(prefix, me),
        )
        if not self._full:
            try:
                with broker.client.pipeline(transaction=False) as pipe:
                    pipe.set(keys[0], text, px=wire.HEARTBEAT_TTL_MS)
                    pipe.sadd(keys[1], me)
                    pipe.get(keys[2])
                    return pipe.execute()[-1]
            except redis.RedisError as exc:
                if not is_full(exc):
                    raise
        lease = broker.client.eval(TELL_WHILE_FULL, 3, *keys, text, wire.HEARTBEAT_TTL_MS, me)
        self._full = True
        return lease

    def _refresh_facts(self, broker: Broker) -> None:
        """Which server this is, and what its clock says; asked anew after a failover."""
        if monotonic() < self._facts_until:
            return
        try:
            self.run_id = _run_id(broker.client)
            asked = time()
            seconds, microseconds = broker.client.time()
            self.clock_offset_s = seconds + microseconds / 1e6 - (asked + time()) / 2
        except redis.ResponseError:
            pass  # Not permitted: what is not known is said as "" and no offset.
        self._facts_until = monotonic() + _REFRESH_FACTS_S
        self._full = False
        self._follow(broker)

    def _follow(self, broker: Broker) -> None:
        """Go where the address leads by now, though nobody has cut the connection.

        A primary that its Sentinels and its replica cannot reach goes on confirming what is
        lost when it is found again; so does one that a Service or a name was taken from.
        """
        leads = _run_id_by_a_new_connection(broker.client) or self.run_id
        if not (leads and broker.run_id) or leads == broker.run_id:
            return
        if broker is not self._left:
            now, before = monotonic(), self._moved_at
            if len(before) == _MOVES and now - before[0] < _MOVES_WITHIN_S:
                return
            logger.warning("The broker's address leads to another server by now: connecting anew")
            before.append(now)
            self._left = broker
        broker.client.connection_pool.disconnect()
        self._on_moved()


def _run_id(client: Any) -> str:
    """Which server it is; "" where it may not be asked.

    Raises:
        redis.RedisError: it could not be asked.
    """
    try:
        return str(client.info("server").get("run_id", ""))
    except redis.ResponseError:
        return ""


def _run_id_by_a_new_connection(client: redis.Redis) -> str:
    """Which server its address leads to now; "" where that cannot be told."""
    pool: Any = client.connection_pool
    try:
        connection = pool.connection_class(**pool.connection_kwargs)
        try:
            connection.connect()
            connection.send_command("INFO", "server")
            said = connection.read_response()
        finally:
            connection.disconnect()
    except (redis.RedisError, OSError):
        return ""  # Nobody is there: who is connected stays so.
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    found = _RUN_ID.search(text)
    return found.group(1) if found else ""
