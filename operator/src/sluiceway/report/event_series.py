"""From notices to Kubernetes Events: which to make, which to count on, and when. Pure.

What is told again of the same object within ten minutes is one Event that counts. An
Event's note cannot be changed, so the next ten minutes get an Event with a note of
their own. What cannot be told in that time is let go: an Event is no record.
"""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sluiceway.api.taskqueue import GROUP, VERSION
from sluiceway.report.notices import Notice, Subject

SERIES_S = 600.0
"""How long an Event counts what is told again."""

COUNT_EVERY_S = 30.0
"""At most so often an Event's count is written."""

AGAIN_S = 10.0
"""Until a call that may work later is tried again."""

MOST = 5_000
"""Events remembered; of more, the oldest are let go."""

IN_FLIGHT = 4
"""Calls at a time, so that statuses and scaling never wait behind Events."""

CONTROLLER = "sluiceway.dev/operator"

_NOTE_BYTES = 1024
_INSTANCE_BYTES = 128
_NAME_BEFORE_DIGEST = 200


_Key = tuple[str, str, bool]


def _key(subject: Subject, notice: Notice) -> _Key:
    return subject.uid, notice.reason, notice.is_warning


@dataclass(slots=True, eq=False)
class _Series:
    """One Event, and what has been told since it was made."""

    subject: Subject
    notice: Notice
    began: float
    """On the caller's clock."""
    due: float | None = None
    """When it comes up in the queue; None while there is nothing to write."""
    count: int = 1
    last_at: float = 0.0
    """When it was told last, Unix seconds."""
    exists: bool = False
    given_up: bool = False
    busy: bool = False
    counted: int = 0
    """What stands in the cluster."""
    wrote_at: float = 0.0

    @property
    def key(self) -> _Key:
        return _key(self.subject, self.notice)

    @property
    def name(self) -> str:
        """Says what is told and when, so that an Event that was made twice is one."""
        told = repr((*self.key, self.notice.at)).encode()
        digest = hashlib.blake2s(told, digest_size=8).hexdigest()
        return f"{self.subject.name[:_NAME_BEFORE_DIGEST].rstrip('-.')}.{digest}"


@dataclass(frozen=True, slots=True)
class Call:
    """One call that is to be made now. Its outcome must be told."""

    creates: bool
    """Or else counts."""
    namespace: str
    name: str
    body: dict[str, Any]
    _series: _Series
    _count: int


class EventSeries:
    """The Events of the last ten minutes. All times are on one clock that never goes back."""

    def __init__(self, *, reporter: str, most: int = MOST) -> None:
        """Nothing was told yet.

        Args:
            reporter: this replica's name, for whoever reads an Event.
            most: how many are remembered.
        """
        self._reporter = _cut(reporter, _INSTANCE_BYTES)
        self._most = most
        self._series: dict[_Key, _Series] = {}
        """In the order in which they began."""
        self._due: list[tuple[float, int, _Series]] = []
        self._pushed = 0
        self._under_way = 0

    def tell(self, subject: Subject, notice: Notice, now: float) -> None:
        """Take in what is to be told of ``subject``."""
        key = _key(subject, notice)
        series = self._series.get(key)
        if series is not None and now - series.began < SERIES_S:
            series.count += 1
            series.last_at = notice.at
            if series.due is None and not series.busy:
                self._enqueue(series, max(now, series.wrote_at + COUNT_EVERY_S))
            return
        # Taken out first, so that it lies behind those that began before.
        self._series.pop(key, None)
        self._forget_old(now, new=1)
        series = _Series(subject=subject, notice=notice, began=now, last_at=notice.at)
        self._series[key] = series
        self._enqueue(series, now)

    def take(self, now: float) -> list[Call]:
        """The calls to begin now."""
        self._forget_old(now)
        calls = []
        while self._under_way < IN_FLIGHT and self._due and self._due[0][0] <= now:
            _, _, series = heapq.heappop(self._due)
            series.due = None
            if self._series.get(series.key) is series:
                series.busy = True
                self._under_way += 1
                calls.append(self._call(series))
        return calls

    def next_at(self) -> float | None:
        """When ``take`` should be asked again; None: not before something else happens."""
        return self._due[0][0] if self._due and self._under_way < IN_FLIGHT else None

    def done(self, call: Call, now: float) -> None:
        """It was carried out."""
        series = call._series
        series.exists, series.counted, series.wrote_at = True, call._count, now
        self._end(series)
        if series.count > series.counted:
            self._enqueue(series, now + COUNT_EVERY_S)

    def failed(self, call: Call, now: float) -> None:
        """It may work later."""
        self._end(call._series)
        self._enqueue(call._series, now + AGAIN_S)

    def refused(self, call: Call) -> None:
        """It will not work."""
        self._end(call._series)
        call._series.given_up = True

    def vanished(self, call: Call) -> None:
        """There is nothing to count on any more: what is told next begins anew."""
        self._end(call._series)
        if self._series.get(call._series.key) is call._series:
            del self._series[call._series.key]

    def _end(self, series: _Series) -> None:
        self._under_way -= 1
        series.busy = False

    def _enqueue(self, series: _Series, due: float) -> None:
        if series.given_up:
            return
        series.due = due
        self._pushed += 1
        heapq.heappush(self._due, (due, self._pushed, series))

    def _forget_old(self, now: float, *, new: int = 0) -> None:
        """Forget those whose time is over, and the oldest where there is no room for new ones."""
        while self._series:
            key, series = next(iter(self._series.items()))
            if now - series.began < SERIES_S and len(self._series) + new <= self._most:
                break
            del self._series[key]
        if len(self._due) > 2 * self._most:
            self._due = [one for one in self._due if self._series.get(one[2].key) is one[2]]
            heapq.heapify(self._due)

    def _call(self, series: _Series) -> Call:
        counts = {"count": series.count, "lastObservedTime": _time(series.last_at)}
        if series.exists:
            body: dict[str, Any] = {"series": counts}
        else:
            body = self._event(series)
            if series.count > 1:
                body["series"] = counts
        return Call(
            creates=not series.exists,
            namespace=series.subject.namespace,
            name=series.name,
            body=body,
            _series=series,
            _count=series.count,
        )

    def _event(self, series: _Series) -> dict[str, Any]:
        subject, notice = series.subject, series.notice
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": series.name, "namespace": subject.namespace},
            "eventTime": _time(notice.at),
            "type": "Warning" if notice.is_warning else "Normal",
            "reason": notice.reason,
            "action": notice.action,
            "note": _cut(notice.note, _NOTE_BYTES),
            "regarding": {
                "apiVersion": f"{GROUP}/{VERSION}",
                "kind": "TaskQueue",
                "namespace": subject.namespace,
                "name": subject.name,
                "uid": subject.uid,
            },
            "reportingController": CONTROLLER,
            "reportingInstance": self._reporter,
        }


def _cut(text: str, most: int) -> str:
    """At most so many bytes: that is what an API server counts here."""
    raw = text.encode()
    if len(raw) <= most:
        return text
    return raw[: most - len("…".encode())].decode(errors="ignore") + "…"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
