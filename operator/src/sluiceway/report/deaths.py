"""What is told of a worker that died, and of the messages that it had.

Numbers and the names of tasks; never an argument, which may be anybody's secret.
"""

from __future__ import annotations

from sluiceway.broker.holders import Cause
from sluiceway.report.events import Event, Kind
from sluiceway_worker.recovery import Recovered


def events_of(fleet: str, cause: Cause, recovered: Recovered) -> tuple[Event, ...]:
    """The events that one death makes: none where nothing was lost by it."""
    death = recovered.death
    if not recovered.moved and cause not in (Cause.MEMORY, Cause.EVICTED):
        return ()
    worker = death.incarnation.rpartition(":")[0]
    names = recovered.names()
    ran = f"; it had {names}" if names else ""
    events = [
        Event(
            at=death.at,
            fleet=fleet,
            kind=Kind.TASKS_CAME_BACK,
            sentence=f"worker {worker} is dead ({death.reason}): {_fates(recovered)}{ran}",
        )
    ]
    if recovered.dead:
        events.append(
            Event(
                at=death.at,
                fleet=fleet,
                kind=Kind.DEAD_LETTERS,
                sentence=(
                    f"{messages(recovered.dead)} will not be given out again after too many "
                    f"deaths of workers that ran it, the last of {worker} ({death.reason}); "
                    f"{_look(fleet)}"
                ),
            )
        )
    return tuple(events)


def event_of_letters(fleet: str, count: int, at: float) -> Event:
    """The event of dead letters that the workers themselves made.

    Args:
        count: how many there are of which nothing was told yet.
        at: now, Unix seconds.
    """
    sentence = (
        f"{messages(count)} will not be given out again after too many deaths of workers, or of "
        f"processes of their pools, that ran it; {_look(fleet)}"
    )
    return Event(at=at, fleet=fleet, kind=Kind.DEAD_LETTERS, sentence=sentence)


def _look(fleet: str) -> str:
    return f"look at them with `sluiceway dead list -q {fleet}`"


def _fates(recovered: Recovered) -> str:
    if not recovered.moved:
        return "it held no message"
    parts = [
        f"{messages(recovered.returned)} went back to the head of the queue"
        if recovered.returned
        else "",
        f"{recovered.finished} had succeeded and needs no other run" if recovered.finished else "",
        f"{messages(recovered.dead)} became a dead letter" if recovered.dead else "",
    ]
    return ", ".join(part for part in parts if part)


def messages(count: int) -> str:
    """``1 message``, ``2 messages``."""
    return "1 message" if count == 1 else f"{count} messages"
