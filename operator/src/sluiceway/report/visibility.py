"""Whether a visibility timeout gives messages away that are still at work. Pure.

kombu's timeout is one for all that is held under a key prefix of a database: whoever
sweeps restores everything that is older than its own setting, whosever it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sluiceway.report.words import seconds


class Timeouts:
    """What the workers of all fleets say of their visibility timeouts, by place."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._said: dict[object, dict[str, float]] = {}
        self._place: dict[str, object] = {}

    def hear(self, fleet: str, place: object, timeout_s: float | None) -> None:
        """The workers of a fleet say so.

        Args:
            place: what is the same for fleets that share their held messages: the database
                and the key prefix.
            timeout_s: the shortest of theirs; None while none says.
        """
        if self._place.get(fleet, place) != place:
            self.forget(fleet)
        if timeout_s is not None:
            self._place[fleet] = place
            self._said.setdefault(place, {})[fleet] = timeout_s

    def forget(self, fleet: str) -> None:
        """A fleet is gone, or elsewhere."""
        place = self._place.pop(fleet, None)
        said = self._said.get(place, {})
        said.pop(fleet, None)
        if not said:
            self._said.pop(place, None)

    def warnings(self, fleet: str, longest_task_s: float) -> tuple[str, ...]:
        """What is to be mended for this fleet, as sentences."""
        said = self._said.get(self._place.get(fleet), {})
        if fleet not in said:
            return ()
        return tuple(_warnings(fleet, said, longest_task_s))


def _warnings(fleet: str, said: Mapping[str, float], longest_task_s: float) -> Iterator[str]:
    own = said[fleet]
    if own <= longest_task_s:
        yield (
            f"the workers' visibility timeout is {seconds(own)}, and worker.longestTask is "
            f"{seconds(longest_task_s)}: what a silent worker still runs is given to another; set "
            "visibility_timeout in the application's broker_transport_options above longestTask"
        )
    other = min(said, key=lambda name: (said[name], name))
    if said[other] < own:
        yield (
            f"the workers of {other} share this database and key prefix, and their visibility "
            f"timeout is {seconds(said[other])} where it is {seconds(own)} here: the shorter one "
            "counts for all; give both applications the same, or another key prefix"
        )
