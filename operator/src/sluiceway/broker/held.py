"""Which queues the messages in ``unacked`` came from, learned page by page.

``unacked`` is one hash for all queues of a database, and large: its index is
walked in pages, a value is opened once, and what was learned is remembered. Up to
one page of held messages the picture is exact at every tick; beyond, what was
acknowledged is noticed when the walk comes by again. Needed only for fleets whose
workers send no heartbeat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import nsmallest

from sluiceway.broker.scripts import READ_HELD, ScriptCall

PAGE = 500
"""Tags read at one tick."""
LARGEST_OPENED = 64_000
"""Bytes; a value over that stays unopened, and its queue unknown."""


class HeldWalk:
    """The walk over one ``unacked``. Does no I/O: it makes calls and learns from replies."""

    def __init__(self, prefix: str) -> None:
        self._index = f"{prefix}unacked_index"
        self._hash = f"{prefix}unacked"
        self._from = float("-inf")
        self._excluding = False
        self._known: dict[bytes, tuple[float, str]] = {}
        self._walked = False

    def call(self) -> ScriptCall:
        """The next page to ask for."""
        ahead = ((score, tag) for tag, (score, _) in self._known.items() if score >= self._from)
        start = f"{'(' if self._excluding else ''}{_score(self._from)}"
        return ScriptCall(
            script=READ_HELD,
            args=(
                self._index,
                self._hash,
                start,
                PAGE,
                LARGEST_OPENED,
                *(tag for _, tag in nsmallest(PAGE, ahead)),
            ),
        )

    def learn(self, page: Sequence[bytes], opened: Sequence[bytes]) -> None:
        """Take in a reply: (tag, score) pairs by score, and (tag, queue) of the new ones."""
        scores = {tag: float(score) for tag, score in zip(page[::2], page[1::2], strict=True)}
        queues = {
            tag: queue.decode("utf-8", "replace")
            for tag, queue in zip(opened[::2], opened[1::2], strict=True)
        }
        full = len(scores) >= PAGE
        last = max(scores.values(), default=self._from)
        # Acknowledged since: known, inside the page's range and not in the page.
        # Tags of the very last score may follow on the next page.
        for tag, (score, _) in list(self._known.items()):
            inside = self._from <= score and (score < last or not full)
            if inside and tag not in scores and not (self._excluding and score == self._from):
                del self._known[tag]
        for tag, score in scores.items():
            if tag in queues:
                self._known[tag] = (score, queues[tag])
            elif tag in self._known:
                self._known[tag] = (score, self._known[tag][1])
        if full:
            self._excluding = last == self._from
            self._from = last
        else:
            self._walked, self._excluding, self._from = True, False, float("-inf")

    def by_queue(self) -> Mapping[str, int] | None:
        """Held messages of each queue; None before the first walk has come to its
        end, and while the queue of one of them cannot be told."""
        counts = Counter(queue for _, queue in self._known.values())
        return counts if self._walked and "" not in counts else None


def _score(value: float) -> str:
    return "-inf" if value == float("-inf") else repr(value)
