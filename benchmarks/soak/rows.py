"""The rows of the table: what happens, how often, and who does it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import drains, kills
from benchmarks.common import Result
from benchmarks.soak import (
    deposed,
    failovers,
    fallen,
    leaving,
    moving,
    orphaned,
    restarts,
    steps,
    subtasks,
)
from benchmarks.soak.scenes import scenes


@dataclass(frozen=True, kw_only=True)
class Row:
    """One event, and what must not follow from it."""

    name: str
    event: str
    small: int
    full: int
    part: int
    """So often in one part, which is written down when it has ended."""
    run: Callable[[int, int], Result]
    """(times, seed) → counts."""
    never: tuple[str, ...] = ("lost", "run_twice", "cut", "stranded")
    """The counts that must be zero."""
    needs_nodes: bool = False


_BY_FORCE = ("failed", "lost", "run_twice", "stranded")
"""What a killed worker ran is cut, and runs again."""
_UNASKED = ("failed", "lost", "run_twice", "run_again", "cut", "stranded")
"""Nobody was ended by force: nothing is cut, and nothing runs again."""

_AWAY = "test_workers_are_taken_away.py"
_MEMORY = "test_out_of_memory.py"
_WORK = "test_no_task_is_lost.py"
_OPERATOR = "test_operator_trouble.py"

ROWS = (
    Row(
        name="drains",
        event="a worker drains: is recalled, or goes and is replaced",
        small=8,
        full=1000,
        part=25,
        run=lambda times, seed: drains.run(times, seed=seed),
    ),
    Row(
        name="recalls",
        event="recall while draining, no process restarted",
        small=4,
        full=100,
        part=25,
        run=lambda times, seed: drains.run(times, seed=seed, ways=drains.RECALLS),
        never=("lost", "run_twice", "cut", "stranded", "restarted"),
    ),
    Row(
        name="orphaned",
        event="the operator is killed for good in the middle of a drain",
        small=1,
        full=20,
        part=1,
        run=orphaned.run,
    ),
    Row(
        name="steps-drain",
        event="the operator is killed at one step of a drain after the other",
        small=1,
        full=40,
        part=5,
        run=steps.drains,
        never=_UNASKED,
    ),
    Row(
        name="steps-recovery",
        event="the operator is killed at one step of a recovery after the other",
        small=1,
        full=40,
        part=5,
        run=steps.recoveries,
        never=_BY_FORCE,
    ),
    Row(
        name="graces",
        event="the grace period runs out under a running task",
        small=3,
        full=100,
        part=10,
        run=lambda times, seed: kills.kills(times, seed, kills.GRACE),
        never=_BY_FORCE,
    ),
    Row(
        name="kills",
        event="`kill -9` of a child, of the main process, of the whole group, in turn",
        small=6,
        full=501,
        part=15,
        run=kills.kills,
        never=_BY_FORCE,
    ),
    Row(
        name="restarts",
        event="the broker (append-only file) ends by SIGTERM or SIGKILL and comes back",
        small=2,
        full=50,
        part=10,
        run=restarts.run,
    ),
    Row(
        name="subtasks",
        event="an ETA task publishes a subtask, and its worker is killed",
        small=2,
        full=50,
        part=10,
        run=subtasks.run,
        never=_BY_FORCE,
    ),
    Row(
        name="leaving",
        event="scale-down, Sluiceway: drain, then SIGTERM",
        small=2,
        full=50,
        part=10,
        run=leaving.ours,
    ),
    Row(
        name="leaving-plain",
        event="scale-down as KEDA's: a random worker of plain Celery, its defaults, short grace",
        small=2,
        full=50,
        part=10,
        run=leaving.plain,
        never=(),
    ),
    Row(
        name="leaving-plain-late",
        event="the same with late acks and a grace longer than its longest task",
        small=2,
        full=50,
        part=10,
        run=leaving.plain_late,
        never=(),
    ),
    Row(
        name="failovers",
        event="the broker fails over by Sentinel: its primary is killed, killed while the replica "
        "lacks some, told to change places, in turn",
        small=3,
        full=60,
        part=6,
        run=failovers.run,
        never=("lost", "run_twice", "cut", "stranded", "still_held"),
    ),
    Row(
        name="moves",
        event="the broker's one address leads elsewhere, without Sentinel: primary and replica "
        "change places and no connection is cut; all hangs and the replica leads; the primary "
        "refuses to write for a while, in turn",
        small=3,
        full=60,
        part=6,
        run=moving.run,
        never=(*_UNASKED, "still_held", "ended"),
    ),
    Row(
        name="deposed",
        event="a primary behind Sentinel is deposed and does not know it: cut off from Sentinels "
        "and replica while workers reach it; frozen, and thawed when another leads, in turn",
        small=2,
        full=40,
        part=4,
        run=deposed.run,
        never=("lost", "run_twice", "stranded", "still_held", "ended"),
    ),
    Row(
        name="fallen-drain",
        event="local mode is killed at one step of a drain after the other, and started again",
        small=1,
        full=20,
        part=5,
        run=fallen.drains,
        never=(*_UNASKED, "still_held"),
    ),
    Row(
        name="fallen-recovery",
        event="local mode is killed at one step of a recovery after the other, and started again",
        small=1,
        full=40,
        part=5,
        run=fallen.recoveries,
        never=(*_BY_FORCE, "still_held"),
    ),
    *(
        Row(
            name=f"nodes-{name}",
            event=f"{event}, on nodes",
            small=0,
            full=full,
            part=25 if name == "work" else 10,
            run=scenes(file, named),
            never=never,
            needs_nodes=True,
        )
        for name, file, named, full, never, event in (
            ("drains", _AWAY, "drained_node", 20, _UNASKED, "`kubectl drain`"),
            ("evictions", _AWAY, "evicted", 20, _UNASKED, "a worker is evicted"),
            ("forced", _AWAY, "deleted_by_force", 10, _BY_FORCE, "a pod is deleted by force"),
            ("frozen", _AWAY, "freezes", 4, _BY_FORCE, "a node freezes, and thaws"),
            ("gone", _AWAY, "is_gone", 4, _BY_FORCE, "a node loses its power and is deleted"),
            ("work", _WORK, "scale_downs", 200, _UNASKED, "scale-down, every fifth with a rollout"),
            ("leaders", _OPERATOR, "killed", 20, _UNASKED, "the operator's leader is killed"),
            ("oom", _MEMORY, "container", 10, _BY_FORCE, "a container runs out of memory"),
            ("oom-child", _MEMORY, "process", 10, _UNASKED, "a pool's process runs out of memory"),
        )
    ),
    *(
        Row(
            name=f"nodes-{name}",
            event=f"{event}, on nodes",
            small=0,
            full=1,
            part=1,
            run=scenes(file, named, counts=False),
            never=("failed",),
            needs_nodes=True,
        )
        for name, file, named, event in (
            (
                "operator",
                _OPERATOR,
                "not killed",
                "a leader is frozen, another refused; the API server is away",
            ),
            ("broker", "test_broker_trouble.py", "", "the broker is stopped for a minute"),
            (
                "drift",
                "test_nothing_drifts.py",
                "",
                "ten minutes of scaling, after which `kubectl diff` shows nothing",
            ),
        )
    ),
)
