"""What messages come through: taken by script, or on kombu's way. It is decided once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.utils.log import get_logger

from sluiceway_worker.intake import Intake
from sluiceway_worker.taking import Taking

if TYPE_CHECKING:
    from collections.abc import Callable

    from sluiceway_worker.finished import Asks
    from sluiceway_worker.identity import Identity

    Door = Intake | Taking

logger = get_logger(__name__)


def door_of(
    channel: Any,
    identity: Identity,
    *,
    by_script: bool,
    sure: Callable[[], bool],
    failed: Callable[[], None],
    finished: Asks | None,
    before: Door | None,
) -> Door:
    """The door for a new channel.

    Args:
        by_script: whether messages are to be taken by script, if the server allows it.
        identity, sure, failed, finished: as in ``Taking``.
        before: the door of the connection before this one; the new one is of its kind.
    """
    if not by_script or isinstance(before, Intake):
        return Intake(channel, before if isinstance(before, Intake) else None)
    taking = Taking(channel, identity, sure=sure, failed=failed, finished=finished, before=before)
    refusal = taking.refusal()
    if refusal is not None:
        logger.info("Tasks are taken with BRPOP, for the broker refuses a script: %s", refusal)
        return Intake(channel)
    channel.take_by(taking)
    if before is None:
        logger.info("Tasks are taken by a script, each on the books from its take on")
    return taking
