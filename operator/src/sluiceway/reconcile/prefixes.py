"""What is one for a key prefix of a broker, however many fleets share it: who is heard
there and with which timeouts, the list of workers, and what is parked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from sluiceway.decide.attention import may_park
from sluiceway.observe import Reading, Watched
from sluiceway.reconcile.edges import Commands, Fleet, Reporter
from sluiceway.reconcile.past import Past
from sluiceway.report.visibility import Neighbours
from sluiceway_worker.wire import PARKING_TTL_MS

_STAND_BY_S = PARKING_TTL_MS / 3000
"""Until a broker is told again that a fleet will be started in time."""


class Prefixes:
    """Those of one broker."""

    def __init__(
        self,
        *,
        leases: Callable[[Watched], Commands],
        report: Reporter,
        clock: Callable[[], float],
    ) -> None:
        """Nobody was heard.

        Args:
            clock: the time of day, Unix seconds.
        """
        self._leases = leases
        self._report = report
        self._clock = clock
        self._neighbours: defaultdict[str, Neighbours] = defaultdict(Neighbours)

    def hear(self, fleets: Sequence[Fleet], reading: Reading) -> None:
        """Take in what the workers under these fleets' prefixes say."""
        for prefix, watched in _one_of_each(fleets).items():
            self._neighbours[prefix].hear(reading.heard(watched), self._clock())

    def shortest_timeout_but(self, watched: Watched) -> tuple[str, float] | None:
        """The shortest visibility timeout of this fleet's neighbours, and whose it is."""
        return self._neighbours[watched.prefix].shortest_but(watched.key)

    async def tidy(
        self,
        fleets: Sequence[Fleet],
        looked_at: Sequence[Fleet],
        pasts: Mapping[str, Past],
        reading: Reading,
    ) -> None:
        """Bring back what is due, let the workers park what is far ahead, forget who is gone.

        Args:
            fleets: those that the reading is of.
            looked_at: those among them that were decided on.
            pasts: by fleet; one that is not there is ticked no more.
        """
        groups: defaultdict[str, list[Fleet]] = defaultdict(list)
        for fleet in looked_at:
            groups[fleet.watched.prefix].append(fleet)
        for prefix, watched in _one_of_each(fleets).items():
            commands, now = self._leases(watched), self._clock()
            try:
                if due := reading.due(watched, now):
                    await commands.release(due, reading.at(watched, now))
                await _stand_by(groups[prefix], pasts, reading, commands, now)
                if gone := reading.gone(watched):
                    await commands.forget(gone)
            except Exception as exc:
                self._report.failed(watched.key, now, exc)


async def _stand_by(
    fleets: Sequence[Fleet],
    all_pasts: Mapping[str, Past],
    reading: Reading,
    commands: Commands,
    now: float,
) -> None:
    """Their workers may park what is far ahead: whoever ticks them starts them in time."""
    pasts = {
        fleet.watched.key: all_pasts[fleet.watched.key]
        for fleet in fleets
        if may_park(fleet.watched.taskqueue.spec)
        and reading.of(fleet.watched).problem is None
        and (fleet.replicas or fleet.workers())
        and fleet.watched.key in all_pasts
    }
    told = [key for key, past in pasts.items() if now >= past.stood_by_at + _STAND_BY_S]
    if told:
        await commands.stand_by(told)
        for key in told:
            pasts[key].stood_by_at = now


def _one_of_each(fleets: Sequence[Fleet]) -> dict[str, Watched]:
    """By key prefix, one of the fleets there."""
    return {fleet.watched.prefix: fleet.watched for fleet in fleets}
