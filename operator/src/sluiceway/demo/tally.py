"""Counting in the shop's database: what became of every task that was published.

Nothing here asks Celery, a log or Sluiceway. The shop's web app wrote a row when
a task was published, whichever process ran it wrote one when it started and one
when it ended; what follows is arithmetic on those rows.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

RUNS = """
    SELECT queue, task_id, attempt,
           MIN(due) AS due,
           MIN(CASE event WHEN 'published' THEN at END) AS published,
           MIN(CASE event WHEN 'started' THEN at END) AS started,
           MAX(CASE event WHEN 'finished' THEN at END) AS finished,
           SUM(event = 'started') AS starts,
           SUM(outcome = 'FAILURE') AS failures
    FROM task_runs GROUP BY task_id, attempt ORDER BY due
"""
"""One row for each attempt at a task; a retry is an attempt of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One attempt at one task. Times are Unix seconds, None for what never happened."""

    queue: str
    due: float
    """When it could have started: published, or its ETA."""
    started: float | None
    finished: float | None

    @property
    def waited_s(self) -> float | None:
        """From due to started, not below 0; None when it never started."""
        return None if self.started is None else max(0.0, self.started - self.due)


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """How many there were of each."""

    published: int
    finished: int
    failed: int
    """Finished, with an error."""
    lost: int
    """Published and never finished."""
    run_twice: int
    """Started more than once without having been asked for again."""


def count(database: Path, queue: str = "") -> Tally:
    """The tally of one queue, or of all ("").

    Raises:
        sqlite3.OperationalError: there is no such database.
    """
    with _reading(database) as db:
        row = db.execute(
            f"""
            SELECT COUNT(published) AS published,
                   COUNT(finished) AS finished,
                   COUNT(CASE WHEN failures THEN 1 END) AS failed,
                   COUNT(CASE WHEN finished IS NULL THEN published END) AS lost,
                   COUNT(CASE WHEN starts > 1 THEN 1 END) AS run_twice
            FROM ({RUNS}) WHERE ? IN ('', queue)
            """,
            (queue,),
        ).fetchone()
    return Tally(**row)


def unfinished(database: Path) -> int:
    """How many published attempts have not ended yet."""
    return count(database).lost


def runs(database: Path) -> tuple[Run, ...]:
    """All attempts that were published, in the order they were due."""
    with _reading(database) as db:
        rows = db.execute(
            f"SELECT queue, due, started, finished FROM ({RUNS}) WHERE due IS NOT NULL"
        ).fetchall()
    return tuple(Run(**row) for row in rows)


@contextmanager
def _reading(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection that cannot write."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as db:
        db.row_factory = sqlite3.Row
        yield db
