"""Heartbeats as they are read again and again: of each, only what changed is built anew.

An idle worker's heartbeat has a new age every second, and the same counts of tasks; those
are the greater part of it. A look at a thousand workers reads all of them.
"""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import Any, get_type_hints

import msgspec

from sluiceway_worker.heartbeat import Heartbeat, RunningTask, TaskTimes, TaskWork


@dataclass(frozen=True, slots=True)
class _Counts:
    """What one incarnation had counted, as bytes and as what they say."""

    tasks_raw: bytes
    tasks: dict[str, TaskTimes]
    work_raw: bytes
    work: list[TaskWork]


class Heartbeats:
    """Reads the heartbeats under one key prefix, look after look."""

    def __init__(self) -> None:
        """None was read yet."""
        self._known: dict[str, _Counts] = {}
        self._now: dict[str, _Counts] = {}

    def begin(self) -> None:
        """A look begins: who is not read in it is forgotten with the next."""
        self._known, self._now = self._now, {}

    def read(self, payload: bytes) -> Heartbeat:
        """The same as ``Heartbeat.from_json``. Counts that are as they were are the same
        objects, too.

        Raises:
            ValueError: it is not a heartbeat that this version understands.
        """
        try:
            body = _DECODER.decode(payload)
            said = msgspec.structs.asdict(body)
            counts = self._counts(said["incarnation"], said.pop("tasks"), said.pop("work"))
            running = [RunningTask(*one[:3]) for one in msgspec.json.decode(said.pop("running"))]
            self._now[said["incarnation"]] = counts
            return Heartbeat(**said, tasks=counts.tasks, work=counts.work, running=running)
        except (msgspec.MsgspecError, TypeError, AttributeError):
            return Heartbeat.from_json(payload)  # takes more, such as a whole number with a dot

    def _counts(self, incarnation: str, tasks: msgspec.Raw, work: msgspec.Raw) -> _Counts:
        known = self._known.get(incarnation) or _NO_COUNTS
        tasks_raw, work_raw = bytes(tasks), bytes(work)
        same_tasks, same_work = tasks_raw == known.tasks_raw, work_raw == known.work_raw
        if same_tasks and same_work:
            return known
        return _Counts(
            tasks_raw,
            known.tasks if same_tasks else _tasks(tasks_raw),
            work_raw,
            known.work if same_work else _work(work_raw),
        )


def _tasks(raw: bytes) -> dict[str, TaskTimes]:
    return {name: TaskTimes(*one) for name, one in msgspec.json.decode(raw).items()}


def _work(raw: bytes) -> list[TaskWork]:
    return [TaskWork(*one[:11]) for one in msgspec.json.decode(raw)]


_NO_COUNTS = _Counts(b"{}", {}, b"[]", [])
_LATER = {"tasks": b"{}", "work": b"[]", "running": b"[]"}
"""Members that are not looked into while the rest is decoded, and what stands for nothing."""


def _body() -> type[msgspec.Struct]:
    """The members of a heartbeat, without the models of those that are looked into later."""
    types = get_type_hints(Heartbeat)
    members: list[Any] = []
    for one in fields(Heartbeat):
        if one.name in _LATER:
            members.append((one.name, msgspec.Raw, msgspec.Raw(_LATER[one.name])))
        elif one.default is not MISSING:
            members.append((one.name, types[one.name], one.default))
        else:
            members.append((one.name, types[one.name]))
    return msgspec.defstruct("_Body", members, gc=False)


_DECODER = msgspec.json.Decoder(_body())
