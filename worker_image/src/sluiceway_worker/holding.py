"""What this worker holds in ``unacked``, over lost connections.

When Celery closes a channel, kombu restores *everything* that the channel held, also
what is running, and another worker starts it at once. When the broker is away at that
moment the restoring fails without a word, and what Celery forgets then stays in
``unacked`` until the visibility timeout. And an acknowledgement that fails is logged and
forgotten: the message is given out again although its run has ended.

So a connection that is lost means here:

    what has not started     goes back to the head of its list, at once or as soon as
                             there is a broker again               (giveback)
    what runs                runs on, and is acknowledged through the next channel
    what could not be        is acknowledged when it can, and no drain is over before
    acknowledged

A worker that is leaving has kombu restore what it could not finish, as ever.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.utils.log import get_logger
from celery.worker import state
from kombu.transport import virtual

from sluiceway_worker.intake import BROKER_ERRORS
from sluiceway_worker.returns import ACKNOWLEDGE
from sluiceway_worker.takes import Take

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery.worker.request import Request

    from sluiceway_worker.door import Door
    from sluiceway_worker.giveback import GiveBack
    from sluiceway_worker.runs import Runs

logger = get_logger(__name__)


class Holding:
    """Watches over what one channel holds, and takes over what the one before it held.

    Args:
        intake: the door of this connection.
        giver: what gives back over this connection.
        runs: what the pool has.
        withdraw: takes out of Celery's hands what has not started, and has it given back.
        leaving: whether the consumer is being shut down, and not only its connection lost.
        before: the holding of the connection before this one, where there was one.
    """

    def __init__(
        self,
        intake: Door,
        giver: GiveBack,
        runs: Runs,
        *,
        withdraw: Callable[[], None],
        leaving: Callable[[], bool],
        before: Holding | None = None,
    ) -> None:
        self._intake = intake
        self._giver = giver
        self._runs = runs
        self._withdraw = withdraw
        self._leaving = leaving
        self.let_go = False
        """Whether all is to be as Celery has it."""
        self._carried: dict[str, Any] = {}
        """Tag → message of what runs since an earlier connection."""
        self._unsent: dict[str, Any] = before._unsent if before else {}
        """Tag → message whose acknowledgement failed."""
        self._attach()
        if before is not None:
            self._take_over(before)

    @property
    def owes(self) -> bool:
        """Whether an acknowledgement is still to be sent."""
        return bool(self._unsent)

    @property
    def held(self) -> dict[str, Any]:
        """Tag → message of what is held and neither acknowledged nor on its way back."""
        qos = self._intake.channel.qos
        mine = {t: m for t, m in list(qos._delivered.items()) if t not in qos._dirty}
        return {
            tag: message
            for tag, message in {**self._carried, **mine}.items()
            if not message.acknowledged and hasattr(message, "sluiceway")
        }

    def send(self) -> None:
        """Acknowledge what could not be acknowledged before; trouble leaves the rest."""
        for tag, message in list(self._unsent.items()):
            try:
                self._acknowledge(tag, message)
            except BROKER_ERRORS as exc:
                logger.info("Cannot acknowledge yet, will try again: %s", exc)
                return
            self._unsent.pop(tag, None)

    def leave(self, *, parted: bool) -> None:
        """The pool has ended: the last words.

        Args:
            parted: whether the connection is lost, so that this channel will never be closed
                in good order. What a good one still holds is kombu's to restore.
        """
        if parted:
            self._carried = self._sort_out(self._runs.over())
            for tag, message in self._carried.items():
                # Celery may have no turn of its loop left for it. If it has, that does no harm.
                self._tell(tag, message)
        self.send()
        self._giver.send()

    # How it is attached: four methods of kombu's, replaced on the channel and its QoS.

    def _attach(self) -> None:
        channel, qos = self._intake.channel, self._intake.channel.qos
        self._kombu_close = channel.close
        self._kombu_restore = qos.restore_unacked
        self._kombu_ack = qos.ack
        self._kombu_reject = qos.reject
        channel.close = self._close
        qos.restore_unacked = self._restore
        qos.ack = self._ack
        qos.reject = self._reject

    def _close(self) -> None:
        leaving = self._leaving()
        if self.let_go or leaving:
            # kombu restores what it delivered on this channel: also what ran on to it.
            self._intake.channel.qos._delivered.update(self._carried)
            self._carried.clear()
        self._kombu_close()
        if leaving:
            try:
                self._intake.goodbye()
            except BROKER_ERRORS as exc:
                logger.info("Left as a holder of nothing: %s", exc)

    def _restore(self, *args: Any, **kwargs: Any) -> Any:
        """kombu restores all that the channel held, because it is being closed."""
        if not self.let_go and not self._leaving():
            try:
                self._withdraw()
                self._carried = self._sort_out([*self._runs.at_work(), *self._runs.over()])
                self._giver.send()
            except Exception:
                logger.exception("Cannot tell what runs: all that was held is restored")
            else:
                if not self._intake.channel.qos._delivered:
                    return None
        return self._kombu_restore(*args, **kwargs)

    def _take_over(self, before: Holding) -> None:
        """Celery has forgotten by now what it wants to, and consumes nothing yet."""
        at_work = self._runs.at_work()
        # Before Celery 5.7 it forgets, too, that these take slots.
        state.reserved_requests.update(at_work)
        self._carried = before._sort_out([*at_work, *self._runs.over()])
        for message in self._carried.values():
            message.channel = self._intake.channel

    def _sort_out(self, keep: list[Request]) -> dict[str, Any]:
        """Give back all but these; these. Nothing is held by this channel any more."""
        running = {request.message for request in keep}
        held = self.held
        self._giver.add_messages(
            message
            for tag, message in held.items()
            if message not in running and tag not in self._unsent
        )
        delivered = self._intake.channel.qos._delivered
        for tag, message in list(delivered.items()):
            # A broadcast was taken by kombu, and is kombu's to restore.
            if hasattr(message, "sluiceway"):
                del delivered[tag]
        self._carried = {}
        return {tag: message for tag, message in held.items() if message in running}

    def _ack(self, delivery_tag: str) -> None:
        message = self._carried.get(delivery_tag)
        try:
            if message is None:
                self._kombu_ack(delivery_tag)
            else:
                self._acknowledge(delivery_tag, message)
        except BROKER_ERRORS:
            self._note_unsent(delivery_tag)
            raise

    def _reject(self, delivery_tag: str, requeue: bool = False) -> None:
        try:
            self._kombu_reject(delivery_tag, requeue=requeue)
        except BROKER_ERRORS:
            message = self._message(delivery_tag)
            if not requeue:
                self._note_unsent(delivery_tag)
            elif message is not None and not self.let_go:
                self._carried.pop(delivery_tag, None)
                self._giver.add_messages([message])
            raise
        if self._carried.pop(delivery_tag, None) is not None:
            # It does not count among what this channel delivered.
            self._intake.channel.qos._dirty.discard(delivery_tag)

    def _message(self, tag: str) -> Any:
        """What is held under this tag; None where it is not known."""
        return self._carried.get(tag) or self._intake.channel.qos._delivered.get(tag)

    def _note_unsent(self, tag: str) -> None:
        message = self._message(tag)
        if message is not None and not self.let_go:
            self._unsent[tag] = message

    def _acknowledge(self, tag: str, message: Any) -> None:
        self._tell(tag, message)
        message._state = "ACK"
        if self._carried.pop(tag, None) is None:
            # The base class' ack forgets the tag and sends nothing.
            virtual.QoS.ack(message.channel.qos, tag)

    def _tell(self, tag: str, message: Any) -> None:
        """By script, which finds out whether the message is still ours."""
        intake, taken = self._intake, message.sluiceway
        if isinstance(taken, Take):
            message.channel.taking.acknowledge(tag)
        elif intake.channel.ack_emulation:
            keys = intake.unacked_keys()
            intake.raw.eval(ACKNOWLEDGE, len(keys), *keys, tag, taken.before, taken.after)
