"""What many TaskQueues have in common is kept once.

The TaskQueues of an application often differ in their names and queues alone. A model is
some four times as large as what is written in it, and most of a TaskQueue are its broker,
its workers and its scaling: the same text has the same model.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import msgspec

from sluiceway.api.model import Model
from sluiceway.api.taskqueue import TaskQueue

M = TypeVar("M", bound=Model)


class Sharing:
    """The parts that TaskQueues have, for as long as one of them does."""

    def __init__(self) -> None:
        """None yet."""
        self._parts: WeakValueDictionary[tuple[str, bytes], Model] = WeakValueDictionary()

    def shared(self, taskqueue: TaskQueue, written: Mapping[str, Any]) -> TaskQueue:
        """The same TaskQueue, with parts that others of the same text have, too.

        Args:
            written: its ``spec`` as it was read; what is left out has its default.
        """
        parts = self._of(taskqueue.spec, written, "spec")
        return taskqueue.model_copy(update={"spec": _with(taskqueue.spec, parts)})

    def _of(self, model: Model, written: Mapping[str, Any], path: str) -> dict[str, Model]:
        """Of each part that is a model itself, the one that stands for all of its text."""
        found: dict[str, Model] = {}
        for name, part in model:
            if isinstance(part, Model):
                alias = type(model).model_fields[name].alias or name
                found[name] = self._part(part, written.get(alias) or {}, f"{path}.{name}")
        return found

    def _part(self, part: Model, written: Mapping[str, Any], path: str) -> Model:
        text = msgspec.json.encode(written, order="deterministic")
        # A template may be long: it is known by its digest.
        key = path, blake2b(text, digest_size=16).digest()
        known = self._parts.get(key)
        if known is None:
            known = self._parts[key] = _with(part, self._of(part, written, path))
        return known


def _with(model: M, parts: Mapping[str, Model]) -> M:
    return model.model_copy(update=parts) if parts else model
