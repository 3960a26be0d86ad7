"""Which TaskQueue's status is to be written when, and with what. Pure.

Level-based: of each object only the newest status counts, whatever was skipped on the
way. What people and GitOps tools wait for is due at once, mere numbers every ten
seconds (and more rarely where thousands of objects have new ones), and what the cluster
has already is due never. Statuses are kept as JSON: as
objects they would take five times the memory.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from sluiceway.api.status import TaskQueueStatus
from sluiceway.kube.backoff import Backoff

NUMBERS_EVERY_S = 10.0
"""At most so often an object's status is written for its numbers alone."""

NUMBERS_PER_S = 50.0
"""Writes a second for numbers alone, over all objects: an API server takes 5 ms for each."""

IN_FLIGHT = 10
"""Writes at a time."""

FIRST_S = 0.25
"""So long the first status of an object waits for a second look at its fleet, which tells
more: that is one write for each new object, not two."""

REFUSED_S = 60.0
"""Until a write is tried again that was refused for good, such as by a missing permission."""

NO_STATUS = b"{}"
"""Of an object that nobody has told anything yet."""

_EVERYTHING: dict[str, Any] = {
    one.alias or name: None for name, one in TaskQueueStatus.model_fields.items()
}


@dataclass(slots=True, eq=False)
class _Entry:
    """One object."""

    newest: bytes | None = None
    """What it should be; None where nobody has said so in this term."""
    there: bytes | None = None
    """What the cluster has; None while that is not known."""
    urgent: bool = True
    """Whether the difference is more than numbers."""
    lacks: bool = False
    """Whether the newest differs in nothing but that numbers are not in it which an earlier
    leader told. A new one does not know rates at once: what was told of them stands until
    something else is news, or each change of leaders would write every status."""
    adopted: bool = False
    """Whether an earlier leader told what is there."""
    busy: bool = False
    wrote_at: float = float("-inf")
    not_before: float = float("-inf")
    backoff: Backoff = field(default_factory=Backoff)
    queued_at: float | None = None
    """When it comes up in the queue; None where it is not in it."""

    def due_at(self) -> float | None:
        if self.busy or self.newest is None or self.newest == self.there or self.lacks:
            return None
        earliest = float("-inf") if self.urgent else self.wrote_at + NUMBERS_EVERY_S
        return max(earliest, self.not_before)

    def judge(self) -> None:
        """See anew how much the newest differs from what is there."""
        self.lacks = False
        if self.newest is not None and self.newest != self.there:
            self.urgent = self.there is None or _telling(self.newest) != _telling(self.there)
            self.lacks = self.adopted and not self.urgent and _is_part(self.newest, self.there)


@dataclass(frozen=True, slots=True)
class Write:
    """One status that is to be written now. Its outcome must be told to the queue."""

    key: str
    """``namespace/name``."""
    status: dict[str, Any]
    """What a merge patch changes; members that are to vanish are None."""
    _entry: _Entry
    _body: bytes


class StatusQueue:
    """The statuses of all TaskQueues. All times are seconds on one clock that never goes back."""

    def __init__(self, *, in_flight: int = IN_FLIGHT) -> None:
        """Nothing is known and nothing is to be written."""
        self._entries: dict[str, _Entry] = {}
        self._due: list[tuple[float, int, str]] = []
        self._pushed = 0
        self._next_slot = float("-inf")
        """When the next write for numbers alone may be due."""
        self._room = in_flight

    def adopt(self, key: str, status: bytes, now: float) -> None:
        """Take in what the object carries, as a watch shows it.

        Once a status was put for it, that counts: a watch still shows older ones then.

        Args:
            status: as ``encoded`` makes it.
        """
        entry = self._entries.setdefault(key, _Entry())
        if entry.newest is None:
            entry.there, entry.adopted = status, True
            if status == NO_STATUS:
                entry.not_before = now + FIRST_S

    def put(self, key: str, status: Mapping[str, Any], now: float) -> None:
        """Say what the status should be from now on."""
        entry = self._entries.setdefault(key, _Entry())
        newest = encoded(status)
        if newest == entry.newest:
            return
        # Most often what is there is right: one text is enough then.
        entry.newest = entry.there if newest == entry.there else newest
        entry.judge()
        self._enqueue(key, entry, now)

    def latest(self, key: str) -> dict[str, Any]:
        """What was put last, or else what the object carries; empty where neither is known."""
        entry = self._entries.get(key)
        body = None if entry is None else entry.newest or entry.there
        return {} if body is None else msgspec.json.decode(body)

    def drop(self, key: str) -> None:
        """Forget an object."""
        self._entries.pop(key, None)

    def rest(self) -> None:
        """End a term: from here on others write, and only what a watch shows is known.

        No write may be under way any more.
        """
        self._entries = {
            key: _Entry(there=entry.there)
            for key, entry in self._entries.items()
            if entry.there is not None
        }
        self._due.clear()

    def take(self, now: float) -> list[Write]:
        """The writes to begin now: those that are due, as many as there is room for."""
        writes = []
        while self._room and self._due and self._due[0][0] <= now:
            at, _, key = heapq.heappop(self._due)
            entry = self._entries.get(key)
            if entry is None or entry.queued_at != at:
                continue  # forgotten, or queued anew since
            entry.queued_at = None
            due_at = entry.due_at()
            if due_at is None:
                continue
            if due_at > now:
                self._enqueue(key, entry, now)
                continue
            assert entry.newest is not None
            entry.busy = True
            self._room -= 1
            patch = _patch(entry.there, entry.newest)
            writes.append(Write(key, patch, entry, entry.newest))
        return writes

    def next_at(self) -> float | None:
        """When ``take`` should be asked again; None: not before something else happens."""
        return self._due[0][0] if self._due and self._room else None

    def written(self, write: Write, now: float) -> None:
        """It was carried out."""
        entry = write._entry
        entry.there, entry.wrote_at, entry.adopted = write._body, now, False
        entry.backoff, entry.not_before = Backoff(), float("-inf")
        self._end(write, now)

    def failed(
        self,
        write: Write,
        now: float,
        *,
        luck: float,
        retry_after_s: float = 0.0,
        may_have_worked: bool,
    ) -> None:
        """It did not work and may work soon; the newest status is tried again then.

        Args:
            luck, retry_after_s: as for ``Backoff.wait_s``.
            may_have_worked: whether what is there now cannot be told.
        """
        entry = write._entry
        if may_have_worked:
            entry.there = None
        entry.backoff = entry.backoff.after_failure(now)
        entry.not_before = now + entry.backoff.wait_s(luck, retry_after_s)
        self._end(write, now)

    def refused(self, write: Write, now: float) -> None:
        """It will not work soon."""
        write._entry.not_before = now + REFUSED_S
        self._end(write, now)

    def put_off(self, write: Write, now: float, wait_s: float) -> None:
        """It was not tried."""
        write._entry.not_before = now + wait_s
        self._end(write, now)

    def _end(self, write: Write, now: float) -> None:
        self._room += 1
        entry = write._entry
        entry.busy = False
        known = self._entries.get(write.key)
        if known is not None and known is not entry:
            # An object that was deleted and made anew: it may have got the old one's status.
            known.there = None
        if known is not None:
            known.judge()
            self._enqueue(write.key, known, now)

    def _enqueue(self, key: str, entry: _Entry, now: float) -> None:
        due_at = entry.due_at()
        if due_at is None:
            return
        if not entry.urgent:
            if entry.queued_at is not None:
                return
            due_at = max(due_at, self._next_slot)
            self._next_slot = max(due_at, now) + 1 / NUMBERS_PER_S
        # In the order of asking: nobody waits for ever behind those that always come first.
        due_at = max(due_at, now)
        if entry.queued_at is None or due_at < entry.queued_at:
            entry.queued_at = due_at
            self._pushed += 1
            heapq.heappush(self._due, (due_at, self._pushed, key))


class _Condition(msgspec.Struct, frozen=True):
    type: str = ""
    status: str = ""
    reason: str = ""


class _Telling(msgspec.Struct, frozen=True, rename="camel"):
    """What is worth a write of its own; the decoder skips the rest."""

    observed_generation: int | None = None
    desired_replicas: int | None = None
    replicas: int | None = None
    ready_replicas: int | None = None
    conditions: tuple[_Condition, ...] = ()


def _telling(body: bytes) -> _Telling:
    return msgspec.json.decode(body, type=_Telling)


def _is_part(less: bytes, more: bytes | None) -> bool:
    """Whether one has no member that the other has not, too, or has otherwise."""
    if more is None:
        return False
    known: dict[str, Any] = msgspec.json.decode(more)
    return bool(msgspec.json.decode(less).items() <= known.items())


def _patch(there: bytes | None, newest: bytes) -> dict[str, Any]:
    """The members that differ; all of them where nobody knows what is there."""
    wanted: dict[str, Any] = msgspec.json.decode(newest)
    if there is None:
        return _EVERYTHING | wanted
    known: dict[str, Any] = msgspec.json.decode(there)
    changed = {name: value for name, value in wanted.items() if known.get(name) != value}
    return changed | {name: None for name in known if name not in wanted}


def encoded(status: Mapping[str, Any]) -> bytes:
    """A status as JSON, the same for the same status."""
    # Sorted: what comes back from an API server has another order of members.
    return msgspec.json.encode(status, order="deterministic")
