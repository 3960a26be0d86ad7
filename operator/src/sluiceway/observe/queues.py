"""How long the oldest waiting message of a queue has waited.

A wait counts from max(publish stamp, ETA), against the server's clock, and is never
below 0: the clocks of those who publish differ. A message whose ETA is still to come
does not wait, it is for later. Without a stamp the wait counts from when this
message was first seen at the head: a lower bound, and marked as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sluiceway.broker.reading import Head, Parked, QueueFacts
from sluiceway.decide.observation import QueueView
from sluiceway.observe.memory import SeenHead

Seen = Mapping[tuple[str, int], SeenHead]


def queue_view(
    name: str, facts: QueueFacts, *, seen: Seen, at: float, parked: Sequence[Parked] = ()
) -> tuple[QueueView, dict[tuple[str, int], SeenHead]]:
    """One queue's view, and what is to be remembered of its heads.

    Args:
        seen: the heads of the last reading.
        at: the server's time of this reading, Unix seconds.
        parked: what was moved aside from its lists, for later.
    """
    if facts.length is None:
        problem = facts.problem or f"queue {name}: it was not read"
        kept = {place: head for place, head in seen.items() if place[0] == name}
        return QueueView(name=name, problem=problem), kept

    now_seen = {
        (name, head.step): _seen(head.message_id, seen.get((name, head.step)), at)
        for head in facts.heads
        if head.message_id is not None
    }
    # A server that would not tell its script the time calls nothing «for later».
    waiting = [head for head in facts.heads if head.message_id and (head.eta or 0.0) <= at]
    later = [eta for head in facts.heads for eta in (*head.later, head.eta or 0.0) if eta > at]
    waits = [
        max(at - max(_published(head, now_seen[name, head.step]), head.eta or 0.0), 0.0)
        for head in waiting
    ]
    view = QueueView(
        name=name,
        length=facts.length,
        oldest_wait_s=max(waits, default=None),
        # One unstamped message may have waited longer than all the stamped ones, and so
        # may one that nobody looked at.
        oldest_wait_is_exact=all(head.published is not None for head in waiting)
        and not any(head.hidden for head in facts.heads),
        head_eta=min(later, default=None),
        later_etas=tuple(sorted(later)),
        parked=sum(one.count for one in parked),
        parked_etas=tuple(sorted(eta for one in parked for eta in one.etas)),
    )
    return view, now_seen


def _seen(message_id: str, before: SeenHead | None, at: float) -> SeenHead:
    if before is not None and before.message_id == message_id:
        return before
    return SeenHead(message_id=message_id, since=at)


def _published(head: Head, seen: SeenHead) -> float:
    return head.published if head.published is not None else seen.since
