"""One key of one Secret or ConfigMap, read by name when it is needed.

Never listed and never watched: the right to do either would show this process every
secret of the cluster. Only the value that was asked for is kept, and no message ever
has it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import msgspec

from sluiceway.kube.errors import NOT_FOUND, KubeError

CACHED_S = 60.0
"""After this a value is read again."""
AGAIN_AFTER_S = 5.0
"""What was missing, or was distrusted, is read again, but not more often than this."""
FORGOTTEN_AFTER_S = 600.0
"""What nobody has asked for."""

_SHOWN_KEYS = 8

_PASSES = (401, 429)
"""A token that is just being renewed, and a server that asks to wait."""


class Holder(StrEnum):
    """What kind of object holds the value, by its resource name."""

    SECRET = "secrets"
    CONFIG_MAP = "configmaps"

    @property
    def kind(self) -> str:
        """As people call it."""
        return "Secret" if self is Holder.SECRET else "ConfigMap"


class Absent(StrEnum):
    """What does not exist."""

    OBJECT = "object"
    KEY = "key"


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyRef:
    """Where a value is to be found."""

    holder: Holder
    namespace: str
    name: str
    key: str

    def __str__(self) -> str:
        return f"{self.holder.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """The value, or why there is none."""

    value: str | None = field(default=None, repr=False)
    problem: str | None = None
    """A sentence; None where there is a value."""
    absent: Absent | None = None
    """What is known not to be there; None where it could not be read."""


class Requests(Protocol):
    """The part of a ``KubeClient`` that is needed here."""

    async def request(self, method: str, path: str) -> bytes:
        """One answer's JSON."""


@dataclass(kw_only=True, slots=True)
class _Entry:
    reading: asyncio.Task[Found]
    read_at: float
    asked_at: float
    distrusted: bool = False


class KeyReader:
    """Reads keys, each at most once a minute unless it is distrusted."""

    def __init__(self, client: Requests, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Ask for nothing yet.

        Args:
            client: may ``get`` the objects that are named to it.
            clock: monotonic, seconds.
        """
        self._client = client
        self._clock = clock
        self._entries: dict[KeyRef, _Entry] = {}
        self._forgot_at = clock()

    async def read(self, ref: KeyRef) -> Found:
        """The value as it was a minute ago at most, or a sentence.

        While the API server cannot be asked, the last known value stands.
        """
        now = self._clock()
        self._forget(now)
        entry = self._entries.get(ref)
        if entry is None or self._is_due(entry, now):
            last = _result(entry)
            entry = _Entry(
                reading=asyncio.create_task(self._read(ref, last)), read_at=now, asked_at=now
            )
            self._entries[ref] = entry
        entry.asked_at = now
        # Many fleets share one Secret: one that goes must not take the answer along.
        return await asyncio.shield(entry.reading)

    def distrust(self, ref: KeyRef) -> None:
        """It did not work (an authentication failed): read it again when it is next needed."""
        if (entry := self._entries.get(ref)) is not None:
            entry.distrusted = True

    def _is_due(self, entry: _Entry, now: float) -> bool:
        found = _result(entry)
        if found is None:  # still being read, or cut off
            return entry.reading.done()
        soon = entry.distrusted or found.problem is not None
        return now - entry.read_at >= (AGAIN_AFTER_S if soon else CACHED_S)

    def _forget(self, now: float) -> None:
        if now - self._forgot_at < CACHED_S:
            return  # with thousands of keys, looking at all of them is work
        self._forgot_at = now
        for ref, entry in list(self._entries.items()):
            if now - entry.asked_at > FORGOTTEN_AFTER_S:
                del self._entries[ref]

    async def _read(self, ref: KeyRef, last: Found | None) -> Found:
        path = f"/api/v1/namespaces/{ref.namespace}/{ref.holder.value}/{ref.name}"
        try:
            body = await self._client.request("GET", path)
            return _pick(ref, body)
        except KubeError as exc:
            if exc.status == NOT_FOUND:
                problem = f"{ref} does not exist; create it, or correct its name"
                return Found(problem=problem, absent=Absent.OBJECT)
            if _passes_by_itself(exc) and last is not None and last.value is not None:
                return last
            return Found(problem=f"{ref} cannot be read: {exc}")
        except msgspec.DecodeError:
            return Found(problem=f"{ref} cannot be read: the API server's answer is not understood")


class _Secret(msgspec.Struct):
    data: dict[str, bytes] = {}
    """The decoder undoes the base64."""


class _ConfigMap(msgspec.Struct):
    data: dict[str, str] = {}


def _pick(ref: KeyRef, body: bytes) -> Found:
    values: Mapping[str, bytes | str]
    if ref.holder is Holder.SECRET:
        values = msgspec.json.decode(body, type=_Secret).data
    else:
        values = msgspec.json.decode(body, type=_ConfigMap).data
    if ref.key not in values:
        problem = f"{ref} has no key «{ref.key}»{_has(values)}; correct the key"
        return Found(problem=problem, absent=Absent.KEY)
    value = values[ref.key]
    try:
        text = value if isinstance(value, str) else value.decode()
    except UnicodeDecodeError:
        return Found(problem=f"the key «{ref.key}» of {ref} is no text")
    if not text.strip():
        return Found(problem=f"the key «{ref.key}» of {ref} is empty")
    return Found(value=text)


def _has(values: Mapping[str, object]) -> str:
    if not values:
        return ", it is empty"
    shown = sorted(values)[:_SHOWN_KEYS]
    more = ", …" if len(values) > len(shown) else ""
    return f" (it has {', '.join(shown)}{more})"


def _passes_by_itself(exc: KubeError) -> bool:
    """Whether the API server cannot be asked at the moment: that says nothing of the key."""
    return exc.status is None or exc.status in _PASSES or exc.status >= 500


def _result(entry: _Entry | None) -> Found | None:
    """What was read, if the reading came to an end that was foreseen."""
    if entry is None or not entry.reading.done():
        return None
    if entry.reading.cancelled() or entry.reading.exception() is not None:
        return None
    return entry.reading.result()
