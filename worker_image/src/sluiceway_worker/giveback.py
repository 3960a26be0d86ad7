"""Messages that this worker holds and has not started go back to the head of their list.

kombu's own ways would move them to the back of the line or mark them redelivered, and
both decode and encode the message again. Here each message is moved by one script
(``returns.GIVE_BACK``, ``takes.GIVE_BACK_TAKE``), the youngest first, so that the order of the
list is as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.utils.log import get_logger
from celery.worker import state
from kombu.transport import virtual
from kombu.utils.json import dumps

from sluiceway_worker.intake import BROKER_ERRORS, Intake, Owed
from sluiceway_worker.returns import GIVE_BACK, PUSH_BACK_ONCE
from sluiceway_worker.takes import Take

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery.worker.request import Request

    from sluiceway_worker.door import Door

logger = get_logger(__name__)

_BATCH = 200


class GiveBack:
    """Gives held messages back through one intake's connections.

    ``add`` takes messages out of Celery's hands, ``send`` tells the broker; what
    could not be sent is sent the next time (the scripts do nothing the second time).

    Args:
        intake: the door of this connection.
        before: the giver of the connection before this one, where there was one.
    """

    def __init__(self, intake: Door, before: GiveBack | None = None) -> None:
        self._intake = intake
        self._waiting: list[Any] = [] if before is None else before._waiting

    def __bool__(self) -> bool:
        """Whether something is still to be sent."""
        return bool(self._waiting)

    def add(self, requests: Iterable[Request]) -> None:
        """Requests that surely will not run here: neither the pool nor a timer has them."""
        messages = []
        for request in requests:
            # From here on nothing may acknowledge, reject or count them.
            request.acknowledged = True
            state.task_ready(request)
            messages.append(request.message)
        self.add_messages(messages)

    def add_messages(self, messages: Iterable[Any]) -> None:
        """kombu's messages that are nobody's requests any more."""
        for message in messages:
            message._state = "REQUEUED"
            self._waiting.append(message)
        self._waiting.sort(key=lambda message: message.sluiceway.order, reverse=True)

    def send(self) -> int:
        """Give back what was added; how many messages went. Broker trouble leaves the rest."""
        sent = 0
        while self._waiting:
            batch = self._waiting[:_BATCH]
            del self._waiting[:_BATCH]
            try:
                sent += self._send(batch)
            except BROKER_ERRORS as exc:
                self._waiting[:0] = batch
                logger.warning(
                    "Cannot give %d messages back yet, will try again: %s", len(self._waiting), exc
                )
                break
        if sent:
            logger.info("Gave %d messages back that were not started", sent)
        return sent

    def _send(self, batch: list[Any]) -> int:
        answers = self._run(batch, whole=False)
        unknown = [batch[at] for at, answer in enumerate(answers) if answer < 0]
        if unknown:
            answers += self._run(unknown, whole=True)
        for message in batch:
            # The base class' ack forgets the tag and sends nothing.
            virtual.QoS.ack(message.channel.qos, message.delivery_tag)
            if isinstance(message.sluiceway, Take):
                message.channel.taking.held.pop(message.delivery_tag, None)
        return sum(answer > 0 for answer in answers)

    def _run(self, batch: list[Any], *, whole: bool) -> list[int]:
        intake = self._intake
        with intake.raw.pipeline(transaction=False) as pipe:
            for message in batch:
                taken = message.sluiceway
                if isinstance(taken, Take):
                    message.channel.taking.give_back(pipe, taken)
                    continue
                if isinstance(intake, Intake) and not intake.channel.ack_emulation:
                    # Nothing stands in ``unacked``: what is in memory is all there is.
                    owed = Owed(taken.order, taken.source, dumps(message._raw).encode())
                    pipe.eval(PUSH_BACK_ONCE, *intake.once(owed))
                    continue
                pipe.eval(
                    GIVE_BACK,
                    3,
                    *intake.unacked_keys(),
                    intake.key(taken.source),
                    message.delivery_tag,
                    taken.before,
                    taken.after,
                    tail_of(message.delivery_info),
                    dumps(message._raw) if whole else "",
                )
            return [int(answer) for answer in pipe.execute()]


def tail_of(delivery_info: dict[str, Any]) -> str:
    """What follows the message in its ``unacked`` value, as kombu writes it."""
    exchange, routing_key = delivery_info["exchange"], delivery_info["routing_key"]
    return f", {dumps(exchange)}, {dumps(routing_key)}]"
