"""Whether a message that comes back needs no other run, because a result says so. Pure.

Only the result of a success counts: a task that failed may have been published anew under
its id. And only where nothing of the run can be missing that its message still stands for:

* a part of a chord stores its result before it is counted in the chord; whoever dies between
  the two leaves a chord that waits for ever, unless that part is run again. (What follows in
  a chain, and callbacks, are published before the result is stored.)
* a result that is older than the message is that of an earlier task with the same id.

What cannot be told is run again.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sluiceway_worker.wire import STAMP_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Asks = Callable[[str, "float | None"], bool]
    """Whether the task of this id, published then (Unix seconds), is known to have succeeded."""

_NO_CHORD = b'"chord": null}]'
"""So ends the body of a task that is no part of a chord, as Celery writes it in JSON."""


def came_back(message: Mapping[str, Any]) -> bool:
    """Whether a message was delivered before, as kombu marks it.

    Not by its headers: a retry takes them along, and is a message of its own.
    """
    try:
        about = message["properties"]["delivery_info"]
        return about["redelivered"] is True and isinstance(message["headers"], dict)
    except (KeyError, TypeError):
        return False


def can_be_told(headers: Mapping[str, Any], body: Any) -> bool:
    """Whether a result of success means that nothing of the message is left to be done.

    Args:
        headers: of a Celery message.
        body: its body as it stands in the message: text, mostly in base64.
    """
    if not headers.get("group"):
        return True
    if not isinstance(body, str):
        return False
    try:
        end = b64decode(body[-32:], validate=True)
    except (binascii.Error, ValueError):
        end = body[-32:].encode("utf-8", "replace")
    return end.endswith(_NO_CHORD)


def published_at(headers: Mapping[str, Any]) -> float | None:
    """When a message was published, Unix seconds; None where nobody stamped it."""
    stamp = headers.get(STAMP_HEADER)
    return float(stamp) if isinstance(stamp, (int, float)) else None


def is_later(done: Any, published: float | None) -> bool:
    """Whether a result may be that of a message that was published then.

    Args:
        done: the result's ``date_done``; what is not known speaks for it.
    """
    if published is None:
        return True
    if isinstance(done, str):
        try:
            done = datetime.fromisoformat(done.replace("Z", "+00:00"))
        except ValueError:
            return True
    if not isinstance(done, datetime):
        return True
    utc = timezone(timedelta(0))
    return (done if done.tzinfo else done.replace(tzinfo=utc)).timestamp() >= published
