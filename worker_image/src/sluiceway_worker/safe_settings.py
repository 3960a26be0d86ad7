"""Celery settings under which a worker may come and go, unless the application has its own.

They replace Celery's *defaults* and nothing else. So whatever the application sets
wins by Celery's own rules, wherever it sets it: configuration object, old or
prefixed setting names, a task's own ``acks_late``, annotations, the command line.
Defaults are read when an application is configured, so this runs before it is
imported.
"""

from __future__ import annotations

import enum
from typing import Any

import celery
from celery.app import defaults


class Acks(enum.Enum):
    """Who decides when a message is acknowledged."""

    LATE = "late"
    """After the run: a worker that dies does not take its tasks along."""
    EARLY = "early"
    """Before the run, as Celery does by default: a run is lost rather than repeated."""
    APP = "app"
    """The application alone; nothing of it is touched."""


class OurDefault(int):
    """A truth value that is told from the application's own after Celery copied it."""


_NO_PREFETCH = "worker_disable_prefetch"

_ACKS: dict[Acks, dict[str, Any]] = {
    Acks.LATE: {"task_acks_late": True, "task_reject_on_worker_lost": True},
    Acks.EARLY: {"task_acks_late": False},
    Acks.APP: {},
}

_ALWAYS: dict[str, Any] = {
    # A message that waits in a busy worker is one that an idle worker cannot have.
    "worker_prefetch_multiplier": 1,
    _NO_PREFETCH: OurDefault(True),
    # A worker that starts before its broker waits for it.
    "broker_connection_retry_on_startup": True,
}


def apply(acks: Acks) -> None:
    """Make the safe values Celery's defaults; settings that this Celery lacks are left out."""
    for key, value in {**_ALWAYS, **_ACKS[acks]}.items():
        if key in defaults.DEFAULTS:
            defaults.DEFAULTS[key] = value
            # An application may be written in the old setting names throughout;
            # Celery then takes this second table.
            for old, new in defaults._TO_NEW_KEY.items():
                if new == key:
                    defaults._OLD_DEFAULTS[old] = value


def settle_prefetch(conf: Any, multiplier: int | None, pool: Any) -> bool:
    """Take our «no prefetch» back where it would undo a choice, or would not work.

    Args:
        conf: the application's settings.
        multiplier: the command line's prefetch multiplier, which Celery keeps out of ``conf``.
        pool: the worker's pool, by name or class.

    Returns:
        Whether the agent has to see to it instead, because this Celery cannot.
    """
    ours = isinstance(conf.get(_NO_PREFETCH), OurDefault)
    known = _NO_PREFETCH in defaults.DEFAULTS
    chosen = (multiplier or conf.worker_prefetch_multiplier) != 1 or (known and not ours)
    # A green pool of Celery 5.6 says that an idle worker has no free slot: with the
    # setting it would never take a task.
    name = pool if isinstance(pool, str) else getattr(pool, "__module__", "")
    green = name.rpartition(".")[2] in ("gevent", "eventlet")
    works = known and not (green and celery.VERSION[:2] < (5, 7))
    if ours and (chosen or not works):
        conf.worker_disable_prefetch = False
    return not chosen and not works


def describe(tasks: Any, default: bool) -> str:
    """``late``, ``early`` or ``mixed``: how the application's own tasks are set.

    ``tasks`` is the app's registry; Celery's built-in tasks do not count, and an
    application without tasks is what ``default`` (its ``task_acks_late``) says.
    """
    own = {bool(t.acks_late) for name, t in tasks.items() if not name.startswith("celery.")}
    late = own or {bool(default)}
    if len(late) > 1:
        return "mixed"
    return "late" if late.pop() else "early"
