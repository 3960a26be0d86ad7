"""What a watch has seen: name → trimmed object, as the cluster is known to be now.

Level-based: whoever is told of a change reads what holds now, and may be told too
often. After a new list, whatever it did not name is gone, whether or not anybody
saw it go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, Protocol, TypeVar

from sluiceway.kube.views import Watchable

V = TypeVar("V", bound=Watchable)
V_contra = TypeVar("V_contra", bound=Watchable, contravariant=True)


class Changed(Protocol[V_contra]):
    """Told of each change."""

    def __call__(self, before: V_contra | None, now: V_contra | None) -> None:
        """``before`` is None for what is new, ``now`` for what is gone; never both."""


class Store(Mapping[str, V], Generic[V]):
    """The objects by ``namespace/name``. Only its watch writes to it."""

    def __init__(self, changed: Changed[V]) -> None:
        """Empty."""
        self._changed = changed
        self._objects: dict[str, V] = {}

    def __getitem__(self, key: str) -> V:
        return self._objects[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def put(self, obj: V) -> None:
        """It exists, and looks like this now. Of what is not kept, no change is seen."""
        before = self._objects.get(obj.metadata.key)
        if before == obj:
            return
        if before is not None and before.metadata.uid != obj.metadata.uid:
            # Gone and made anew while nobody looked: not the same object any more.
            self.remove(obj.metadata.key)
            before = None
        self._objects[obj.metadata.key] = obj
        self._changed(before, obj)

    def remove(self, key: str) -> None:
        """It exists no more."""
        before = self._objects.pop(key, None)
        if before is not None:
            self._changed(before, None)

    def keep_only(self, among: Callable[[V], bool], named: frozenset[str]) -> None:
        """A new list is complete.

        Args:
            among: whether an object belongs to what was listed.
            named: the keys that the list had.
        """
        gone = [key for key, obj in self._objects.items() if key not in named and among(obj)]
        for key in gone:
            self.remove(key)
