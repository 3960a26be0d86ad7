"""Draining: take nothing more, give back what has not started, finish what runs, say so.

``refresh`` turns the orders (a lease in Redis, SIGTERM) into a closed or open door; any
thread may call it. ``tick`` does the work, on the consumer's thread, where nothing else
can move a message at the same time: it is called on every turn of the event loop.
The states a message can be in, and what becomes of it when the door closes:

    on its way (BRPOP, socket)          pushed back                    (intake)
    held: slot, rate limit, future ETA  given back, head of its list   (unstarted, giveback)
    handed to the pool                  runs, is acknowledged
"""

from __future__ import annotations

from threading import Lock
from time import monotonic, time
from typing import TYPE_CHECKING, Any

from celery import bootsteps
from celery.utils.log import get_logger
from celery.worker import state

from sluiceway_worker import unstarted, wire
from sluiceway_worker.door import door_of
from sluiceway_worker.giveback import GiveBack
from sluiceway_worker.hearing import Hearing
from sluiceway_worker.holding import Holding
from sluiceway_worker.intake import BROKER_ERRORS
from sluiceway_worker.runs import Later, eta_of
from sluiceway_worker.taking import Taking

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery.worker.request import Request

    from sluiceway_worker.door import Door
    from sluiceway_worker.finished import Asks
    from sluiceway_worker.identity import Identity
    from sluiceway_worker.orders import Orders
    from sluiceway_worker.runs import Runs

logger = get_logger(__name__)

_PATIENCE_S = 0.02
"""The event loop waits at most so long for the server's answer to CLIENT UNBLOCK."""

_LOOK_AGAIN_S = 0.05

_ACKS_S = 0.25
"""Acknowledgements leave on the loop's next turns. What is still held so much later was
left unacknowledged on purpose, and is kombu's to restore when the worker goes."""

_RENEWALS = 4
_RENEW_S = 60.0
"""What is held is renewed so many times in a visibility timeout, and at least so often."""


class Drain:
    """Drains one worker, over all the connections that its consumer has in its life.

    Args:
        orders: whether to drain.
        runs: what the pool has.
        changed: called when the state changed, from any thread.
        failed: called in the handling of an error of our own: the agent gives up.
    """

    def __init__(
        self,
        orders: Orders,
        runs: Runs,
        changed: Callable[[], None],
        failed: Callable[[], None],
    ) -> None:
        self._orders = orders
        self._runs = runs
        self._changed = changed
        self._failed = failed
        self._consumer: Any = None
        self._intake: Door | None = None
        self._giver: GiveBack | None = None
        self._holding: Holding | None = None
        self._door = Lock()
        self._let_go = False
        self._parted = False
        self._idle_since: float | None = None
        self._look = False
        self._hearing = Hearing()
        self._renewed_at = float("-inf")
        self.scheduled: dict[Request, Later] = {}
        """Requests held for a future ETA."""
        self.drained = False

    @property
    def attached(self) -> bool:
        """Whether there is a connection that can be drained."""
        return self._consumer is not None

    @property
    def closed(self) -> bool:
        return self._intake is not None and self._intake.closed

    @property
    def state(self) -> str:
        """The heartbeat's word for where the worker stands."""
        if self._orders.stopping:
            return wire.STOPPING
        if not self.closed:
            return wire.CONSUMING
        return wire.DRAINED if self.drained else wire.DRAINING

    # Told by the consumer and by Celery's signals, on the consumer's thread.

    def attach(
        self,
        consumer: Any,
        identity: Identity,
        *,
        by_script: bool = False,
        finished: Asks | None = None,
    ) -> None:
        """A connection is made and not consumed from yet. The door is as it was before.

        Args:
            identity: in whose name messages are held.
            by_script: whether messages are to be taken by script, if the server allows it.
            finished: says of what comes back whether it is known to have succeeded.
        """
        before = self._intake
        self._intake = door_of(
            consumer.task_consumer.channel,
            identity,
            by_script=by_script,
            sure=lambda: not self._silent,
            failed=self._failed,
            finished=finished,
            before=before,
        )
        self._giver = GiveBack(self._intake, self._giver)
        self._consumer = consumer
        self._parted = False
        self._runs.outlive_connections()
        self._holding = Holding(
            self._intake,
            self._giver,
            self._runs,
            withdraw=self._withdraw,
            leaving=lambda: not _is_running(consumer),
            before=self._holding,
        )
        self.scheduled.clear()
        self.refresh()
        self._catch_up()
        self._hearing.connected(anew=before is not None)
        self._compare()

    def detach(self) -> None:
        """The connection goes. A stop that waited for it is Celery's from here."""
        consumer, self._consumer = self._consumer, None
        self._parted = consumer is not None and _is_running(consumer)
        if self._intake is not None:
            # kombu reads an outstanding BRPOP when it closes: that goes back, too.
            self._intake.closed = True
        if self._orders.stopping:
            state.should_stop = self._orders.exit_code

    def leave(self) -> None:
        """The worker ends: the last words to the broker."""
        if self._intake is not None and self._holding is not None:
            self._intake.pay()
            self._holding.leave(parted=self._parted)

    def scheduled_for_later(self, request: Request) -> None:
        """A request was put into the timer, to enter the pool at its ETA."""
        due = eta_of(request)
        if due is not None:
            self.scheduled[request] = Later(due, due - time())

    @property
    def door(self) -> Door | None:
        """What messages come through now; None before the first connection."""
        return self._intake

    def part_with(self, request: Request, timer: Any) -> None:
        """A request for later is not to be started here: it is elsewhere, or goes back."""
        self.scheduled.pop(request, None)
        if self._consumer is not None and self._giver is not None:
            unstarted.cancel(self._consumer, timer)
            self._giver.add([request])

    def refuse(self, request: Request) -> bool:
        """Whether a request that is about to enter the pool is given back instead."""
        self.scheduled.pop(request, None)
        intake = self._intake
        if intake is None or self._giver is None:
            return False
        if request.message.acknowledged:
            # It went back when its connection was lost; before Celery 5.7 its timer stays.
            state.task_ready(request)
            return True
        if self._silent:
            # Whoever has it by now, here it is not started: ``tick`` finds out.
            self._giver.add([request])
            return True
        if isinstance(intake, Taking) and intake.crowds(request.message.delivery_tag):
            self._giver.add([request])
            return True
        if not intake.closed:
            # From a timer, that is under a BRPOP that may be out: was this the last slot?
            self._look = self._look or intake.waiting
            return False
        self._giver.add([request])
        return True

    # Told by anyone.

    def refresh(self) -> None:
        """Let the door follow the orders."""
        intake = self._intake
        if intake is None or self._consumer is None:
            return
        with self._door:
            closed = self._orders.closed(monotonic())
            if self._let_go or closed == intake.closed:
                return
            self.drained = False
            intake.closed = closed
        logger.info("Draining: no more tasks are taken" if closed else "Taking tasks again")
        self._changed()

    def let_go(self) -> None:
        """The agent gives up: the worker consumes, or stops, as Celery has it."""
        with self._door:
            # Another thread may be inside ``refresh`` now: it must not shut the door again.
            self._let_go = True
            if self._intake is not None:
                self._intake.closed = False
                self._intake.let_go = True
        if self._holding is not None:
            self._holding.let_go = True
        if self._orders.stopping:
            state.should_stop = self._orders.exit_code
        try:
            # Nobody else knows of what is still to be given back.
            self._catch_up()
        except Exception:
            logger.exception("Could not give back everything; the visibility timeout will")

    def heard(self, client: Any) -> None:
        """The broker has just heard of this worker; on the heartbeat's thread.

        Raises:
            redis.RedisError: what is held could not be renewed.
        """
        now = monotonic()
        self._hearing.heard(now)
        intake = self._intake
        if isinstance(intake, Taking):
            timeout_s = float(intake.channel.visibility_timeout)
            if now - self._renewed_at >= min(_RENEW_S, timeout_s / _RENEWALS):
                intake.renew(client)
                self._renewed_at = now

    # The work.

    def before_run(self) -> None:
        """Solo runs a task in the loop itself: nothing may be on its way meanwhile."""
        intake = self._intake
        if intake is not None and intake.outstanding:
            intake.settle(patience_s=1.5)

    def tick(self) -> None:
        """One look at everything; cheap where there is nothing to do."""
        intake, giver, holding = self._intake, self._giver, self._holding
        if intake is None or giver is None or holding is None or self._consumer is None:
            return
        if self._silent:
            self._withdraw()
            giver.send()
            self._compare()
        look, self._look = self._look, False
        if look:
            self.refresh()
            holding.send()
            intake.give_up_silence()
        if not intake.closed:
            if look or giver or intake.owes:
                giver.send()
                if intake.stuck or intake.owes:
                    self._settle(intake)
            return
        if self.drained and not giver:
            # Drained by a lease, and now told to stop: there is nothing to wait for.
            if self._orders.stopping:
                state.should_stop = self._orders.exit_code
            return
        # First what is on its way: a BRPOP that still waits in the server would take the
        # first message that is given back, and its own way back would change their order.
        self._settle(intake)
        if intake.outstanding:
            return
        if self._holds_unstarted():
            self._withdraw()
        giver.send()
        if giver or state.reserved_requests or state.active_requests:
            self._idle_since = None
        elif self._acknowledged(holding) and (self._orders.stopping or not self._silent):
            # Drained means that Redis has nothing in this worker's name, either.
            self._finish()

    @property
    def _silent(self) -> bool:
        """Whether what this worker knows of its messages may be out of date."""
        if self._let_go or not isinstance(self._intake, Taking):
            return False
        return self._hearing.in_doubt

    def _compare(self) -> None:
        """Make memory and Redis agree again, after a lost connection or a freeze.

        What has not started went back by a script that moves only what is still ours; what
        Redis has in our name and we do not know follows it; and what runs, runs on.
        """
        intake, giver = self._intake, self._giver
        if not isinstance(intake, Taking) or not self._silent or giver:
            return
        try:
            intake.square()
        except BROKER_ERRORS as exc:
            logger.info("Nothing is taken until the broker says what is held: %s", exc)
            return
        self._hearing.squared()

    def look(self) -> None:
        """Have the next turn look closely, whatever it is that changed."""
        self._look = True

    def _settle(self, intake: Door) -> None:
        if self._consumer.pool.is_green and not intake.stuck:
            # The consumer's greenlet waits at that socket, and reads it.
            intake.hasten()
        elif not intake.settle(_PATIENCE_S):
            self._look_again()

    def _acknowledged(self, holding: Holding) -> bool:
        now = monotonic()
        # A green pool's are sent by its consumer between two reads. One that failed is
        # sent again, however long that takes: drained means that nobody else will run it.
        if self._consumer._pending_operations or holding.owes:
            self._look_again()
            return False
        if not holding.held:
            return True
        if self._idle_since is None:
            self._idle_since = now
        if now - self._idle_since >= _ACKS_S:
            return True
        self._look_again()
        return False

    def _withdraw(self) -> None:
        """Take out of Celery's hands what has not started, to be given back."""
        if self._giver is not None and self._consumer is not None:
            self._giver.add([*unstarted.withdraw(self._consumer), *self._runs.withdraw_queued()])
        self.scheduled.clear()

    def _catch_up(self) -> None:
        """What an earlier connection could not tell the broker any more."""
        if self._intake is not None and self._giver is not None and self._holding is not None:
            self._intake.pay()
            self._giver.send()
            self._holding.send()

    def _finish(self) -> None:
        self._idle_since = None
        self.drained = True
        if self._orders.stopping:
            state.should_stop = self._orders.exit_code
        else:
            logger.info("Drained: nothing runs and nothing is held")
        self._changed()

    def _holds_unstarted(self) -> bool:
        semaphore = getattr(self._consumer.controller, "semaphore", None)
        return bool(
            self.scheduled
            or getattr(semaphore, "_waiting", None)
            or self._runs.queued
            or unstarted.rate_limited(self._consumer)
        )

    def _look_again(self) -> None:
        if self._consumer.hub is not None:
            self._consumer.hub.call_later(_LOOK_AGAIN_S, self.look)


def _is_running(consumer: Any) -> bool:
    """Whether it is not being shut down: if it loses its connection, it makes another."""
    return bool(consumer.blueprint.state == bootsteps.RUN)


def turn() -> None:
    """Nothing: the loop turns for it, and its tick does the rest."""
