"""What becomes of one message whose holder has died. Pure.

It goes back to its list, marked as redelivered as kombu marks what it restores. A death
that may be the message's own doing is written into it; after too many it becomes a dead
letter. What was only held for later has no part in a death.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from sluiceway_worker.finished import can_be_told, published_at
from sluiceway_worker.splice import SpliceError, read_member, set_members
from sluiceway_worker.wire import DEATHS_HEADER, FORGIVEN_HEADER, SUSPECT_HEADER

MAX_DELIVERIES = 3
"""Deaths after which a message is a dead letter, where nobody says otherwise."""

_DEATHS_KEPT = 20


@dataclass(frozen=True)
class Death:
    """How an incarnation ended."""

    incarnation: str
    at: float
    """When it was learned of, Unix seconds."""
    reason: str = ""
    """For people: ``OOMKilled``, ``exit code 1``, ``signal 9``, ``silent for 3600 s``."""
    blamed: bool = False
    """Whether what it ran may have been the cause: an exit code, a signal or want of memory;
    never an eviction, a drain, or a lost node."""
    proven: bool = True
    """False where only its silence speaks for it."""


@dataclass(frozen=True)
class Fate:
    """What is to be done with one message."""

    message: bytes
    """As it is to be written, marks included."""
    task_id: str = ""
    task: str = ""
    """The task's name; both are "" where the message does not say so in its headers."""
    deaths: list[Any] = field(default_factory=list)
    """``[Unix seconds, reason, incarnation]`` of each, the latest last."""
    dead: bool = False
    """Whether it is a dead letter from here on."""
    held_only: bool = False
    """Whether its ETA was in the future: it was not running."""
    can_be_told: bool = True
    """Whether a result of success would mean that it needs no other run."""
    published: float | None = None
    """When it was published, Unix seconds; None where nobody stamped it."""


def fate_of(message: bytes, death: Death, max_deliveries: int = MAX_DELIVERIES) -> Fate:
    """Look at a message and at the death of who had it.

    Args:
        message: the bytes that were published.
        max_deliveries: after so many deaths it is dead. Before the last it is a suspect,
            which runs alone in its worker.
    """
    headers = _headers(message)
    later = _is_for_later(headers.get("eta"), death.at)
    deaths = _list(headers.get(DEATHS_HEADER))
    marks: dict[str, Any] = {"redelivered": True}
    dead = False
    if death.blamed and not later:
        deaths = [*deaths, [round(death.at, 3), death.reason, death.incarnation]]
        forgiven = headers.get(FORGIVEN_HEADER)
        count = len(deaths) - (forgiven if isinstance(forgiven, int) else 0)
        dead = count >= max_deliveries
        deaths = deaths[-_DEATHS_KEPT:]
        marks[DEATHS_HEADER] = deaths
        marks[FORGIVEN_HEADER] = len(deaths) - count
        if count >= max_deliveries - 1:
            marks[SUSPECT_HEADER] = True
    marked = _marked(message, marks)
    return Fate(
        message=message if marked is None else marked,
        task_id=_text(headers.get("id")),
        task=_text(headers.get("task")),
        deaths=deaths,
        # What cannot be counted in cannot be told from what died once.
        dead=dead and marked is not None,
        held_only=later,
        can_be_told=can_be_told(headers, _body(message) if headers.get("group") else None),
        published=published_at(headers),
    )


def forgiven(message: bytes) -> bytes:
    """A dead letter as it is published anew: its deaths are told, and count no more."""
    headers = _headers(message)
    marks = {FORGIVEN_HEADER: len(_list(headers.get(DEATHS_HEADER))), SUSPECT_HEADER: False}
    return _marked(message, marks) or message


def _marked(message: bytes, marks: dict[str, Any]) -> bytes | None:
    """With these headers, and kombu's second mark where there is a place for it."""
    try:
        message = set_members(message, ["headers"], marks)
    except SpliceError:
        return None
    if "redelivered" not in marks:
        return message
    try:
        return set_members(message, ["properties", "delivery_info"], {"redelivered": True})
    except SpliceError:
        return message


def _headers(message: bytes) -> dict[str, Any]:
    try:
        found = read_member(message, "headers")
    except SpliceError:
        return {}
    return found if isinstance(found, dict) else {}


def _body(message: bytes) -> Any:
    try:
        return read_member(message, "body")
    except SpliceError:
        return None


def _is_for_later(eta: Any, now: float) -> bool:
    if not isinstance(eta, str):
        return False
    try:
        due = datetime.fromisoformat(eta.replace("Z", "+00:00"))
    except ValueError:
        return False
    # Without a zone it is UTC, as Celery reads it.
    return (due if due.tzinfo else due.replace(tzinfo=timezone(timedelta(0)))).timestamp() > now


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
