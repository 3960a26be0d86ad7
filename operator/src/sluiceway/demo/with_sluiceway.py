"""The second act: the same clicks, answered with 202, and workers that come and go.

Local mode runs the fleets; this module only watches it. What became of the tasks
is counted afterwards, in the shop's database.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from string import Template

from sluiceway.api.load import load
from sluiceway.api.taskqueue import TaskQueue
from sluiceway.demo import tally
from sluiceway.demo.meltdown import LOOK_EVERY_S
from sluiceway.demo.recording import Act, Fleet, FleetSample
from sluiceway.demo.scene import FleetScene, scene
from sluiceway.demo.screen import Stage
from sluiceway.demo.shop import Shop
from sluiceway.demo.sizes import Sizes
from sluiceway.demo.visiting import visiting
from sluiceway.demo.visitors import Plan
from sluiceway.local.mode import LocalMode, Pace, Settings
from sluiceway.local.processes import Guard
from sluiceway.report.events import Kind
from sluiceway.report.status import FleetStatus

MAIL_EVERY_S = 0.5

_SETTLES_WITHIN_S = 60.0
"""After the last PDF: for the last mails, and for the fleet to go back to zero."""

_HOPELESS = 5
"""So many workers that ended before one of them consumed, and the show is over."""

_PACE = Pace(busy_s=0.5)
"""Looked at more often than usual, for a smoother picture of a show that is short."""


def queues_yaml(max_workers: int) -> str:
    """All that Sluiceway is told."""
    text = files("sluiceway.demo").joinpath("queues.yaml").read_text()
    return Template(text).substitute(max_workers=max_workers)


@asynccontextmanager
async def fleets_of(yaml: str, shop: Shop, broker_url: str, logs: Path) -> AsyncIterator[Watch]:
    """The fleets of these TaskQueues, each with the workers that it keeps at any time.

    When the block is cancelled the workers are not waited for: what they make is
    of no use to anybody.

    Raises:
        TimeoutError: the workers that are to be there from the start never came.
    """
    taskqueues = [found for found in load(yaml) if isinstance(found, TaskQueue)]
    settings = Settings(
        broker_url=broker_url,
        env={**os.environ, **shop.env, "CELERY_RESULT_BACKEND": broker_url},
        log_dir=logs,
        pace=_PACE,
    )
    async with LocalMode(taskqueues, settings) as local:
        watch = Watch(local)
        watching = asyncio.create_task(watch.first_asked("exports"))
        try:
            async with asyncio.timeout(_SETTLES_WITHIN_S):
                await local.journal.until(lambda now: _all_ready(taskqueues, now))
            yield watch
        except asyncio.CancelledError:
            await local.stop_cold()
            raise
        finally:
            watching.cancel()


async def with_sluiceway(
    shop: Shop, sizes: Sizes, rows: int, guard: Guard, watch: Watch, stage: Stage
) -> Act:
    """Everybody clicks again; returns once all tasks have ended and the exporters are gone.

    Raises:
        WorkersError: workers end before they consume, again and again.
    """
    plan = Plan(url=shop.url, clicks=sizes.click_times(), rows=rows, mail_every_s=MAIL_EVERY_S)
    started_at = time.time()
    async with visiting(plan, guard) as log:
        deadline: float | None = None
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = time.time()
            watch.look(now)
            watch.check()
            seen = scene(
                log, started_at=started_at, now=now, clicks=sizes.clicks, fleets=watch.scenes()
            )
            stage.show(seen)
            if seen.everybody_left:
                deadline = deadline or now + _SETTLES_WITHIN_S
                if watch.at_zero("exports") or now > deadline:
                    break
    await _all_tasks_ended(shop.database, deadline)
    return Act.of(log)


class WorkersError(Exception):
    """No worker of a fleet comes up on this machine; says why."""


@dataclass(slots=True)
class Watch:
    """Looks at the fleets of a local run, again and again, and remembers."""

    _local: LocalMode
    _samples: dict[str, list[FleetSample]] = field(default_factory=dict)
    _first_asked: dict[str, float] = field(default_factory=dict)

    def look(self, now: float) -> None:
        """Take a sample of every fleet."""
        for key, fleet in self._local.fleets.items():
            status = self._local.journal.statuses[key]
            self._samples.setdefault(key, []).append(
                FleetSample(
                    at=now,
                    asked=fleet.replicas,
                    running=len(fleet.running),
                    consuming=status.workers.ready,
                )
            )

    def check(self) -> None:
        """See that workers come up at all.

        Raises:
            WorkersError: several of one fleet have ended and none has ever consumed.
        """
        for key, samples in self._samples.items():
            ended = [
                event
                for event in self._local.journal.events
                if event.fleet == key and event.kind is Kind.WORKER_ENDED
            ]
            if len(ended) >= _HOPELESS and not any(sample.consuming for sample in samples):
                raise WorkersError(f"{_name(key)}: {ended[-1].sentence}")

    async def first_asked(self, name: str) -> None:
        """Remember the moment at which a fleet is asked for workers for the first time."""
        key = _key(name)
        await self._local.journal.until(lambda now: key in now and now[key].workers.asked > 0)
        self._first_asked[key] = time.time()

    def scenes(self) -> tuple[FleetScene, ...]:
        """Every fleet as it is now."""
        return tuple(
            FleetScene(
                name=_name(key),
                asked=samples[-1].asked,
                consuming=samples[-1].consuming,
                running=samples[-1].running,
                queue_length=self._local.journal.statuses[key].waiting,
                oldest_wait_s=self._local.journal.statuses[key].oldest_wait_s,
                sentence=self._local.journal.statuses[key].sentence,
            )
            for key, samples in self._samples.items()
        )

    def at_zero(self, name: str) -> bool:
        """Whether a fleet has no worker, and is not asked for one."""
        last = self._samples[_key(name)][-1]
        return last.asked == last.running == 0

    def fleets(self) -> tuple[Fleet, ...]:
        """What every fleet did so far."""
        return tuple(
            Fleet(
                name=_name(key),
                samples=tuple(samples),
                asked_at=self._first_asked.get(key),
                worker_seconds=self._local.worker_seconds(key),
            )
            for key, samples in self._samples.items()
        )


async def _all_tasks_ended(database: Path, deadline: float) -> None:
    """Or the deadline has passed, and what has not ended is lost."""
    while True:
        if not tally.unfinished(database) or time.time() > deadline:
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _all_ready(taskqueues: list[TaskQueue], now: Mapping[str, FleetStatus]) -> bool:
    """Whether every fleet was looked at and has the workers that it always keeps."""
    return all(
        tq.key in now and now[tq.key].workers.ready >= tq.spec.scaling.min_replicas
        for tq in taskqueues
    )


def _key(name: str) -> str:
    return f"default/{name}"


def _name(key: str) -> str:
    return key.rpartition("/")[2]
