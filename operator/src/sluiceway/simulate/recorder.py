"""A trace out of readings: what arrived in each interval, and how long tasks ran.

Arrivals are what the backlog grew by and what was finished meanwhile; run times are what
the workers' counters grew by. Both are seen anyway: nothing is asked of the broker that
the operator does not ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

HEADER = "t_seconds,arrivals,mean_duration_s"


@dataclass(frozen=True, kw_only=True, slots=True)
class Counters:
    """What one incarnation of a worker says of itself; cumulative since its start."""

    incarnation: str
    held: int
    """Running, or taken and not started."""
    processed: int
    runs: int
    run_sum_s: float


class Recorder:
    """Turns readings, one for each interval, into the lines of a CSV trace."""

    def __init__(self, every_s: float) -> None:
        """Record one line for each ``every_s`` seconds."""
        self._every_s = every_s
        self._counted: dict[str, Counters] | None = None
        self._backlog = 0
        self._owed = 0
        self._lines = 0
        self._runs = 0
        self._run_sum_s = 0.0
        self._untold: list[int] = []
        self.arrivals = 0
        """Messages that came so far."""

    @property
    def mean_run_s(self) -> float | None:
        """Of all runs that ended so far; None before the first."""
        return self._run_sum_s / self._runs if self._runs else None

    def note(self, waiting: int | None, workers: Iterable[Counters]) -> list[str]:
        """The lines that this reading completes.

        The first reading only tells where counting begins. One that could not be had
        (``waiting`` is None) is an interval without arrivals; those that came show in the
        next. Until a run has ended, lines are held back: a trace needs a run time.
        """
        if waiting is None:
            return [] if self._counted is None else self._line(0, None)
        heard = {worker.incarnation: worker for worker in workers}
        backlog = waiting + sum(worker.held for worker in heard.values())
        if self._counted is None:
            self._counted, self._backlog = heard, backlog
            return []
        finished = runs = 0
        run_sum_s = 0.0
        for name, now in heard.items():
            before = self._counted.get(name)
            finished += max(0, now.processed - (before.processed if before else 0))
            ended = now.runs - (before.runs if before else 0)
            if ended > 0:
                runs += ended
                run_sum_s += max(0.0, now.run_sum_s - (before.run_sum_s if before else 0.0))
        # A message between queue and heartbeat is missing for a moment, and back in the next.
        came = backlog - self._backlog + finished + self._owed
        self._owed = min(0, came)
        self._counted |= heard
        self._backlog = backlog
        self._runs += runs
        self._run_sum_s += run_sum_s
        self.arrivals += max(0, came)
        return self._line(max(0, came), run_sum_s / runs if runs else None)

    def rest(self) -> list[str]:
        """The lines that were held back to the end, without a run time."""
        return [self._told(came, None) for came in self._take_untold()]

    def _line(self, came: int, mean_s: float | None) -> list[str]:
        if self.mean_run_s is None:
            self._untold.append(came)
            return []
        usual = self.mean_run_s
        lines = [self._told(earlier, usual) for earlier in self._take_untold()]
        return [*lines, self._told(came, usual if mean_s is None else mean_s)]

    def _take_untold(self) -> list[int]:
        untold, self._untold = self._untold, []
        return untold

    def _told(self, came: int, mean_s: float | None) -> str:
        at = self._lines * self._every_s
        self._lines += 1
        return f"{at:g},{came},{'' if mean_s is None else f'{mean_s:.6g}'}"
