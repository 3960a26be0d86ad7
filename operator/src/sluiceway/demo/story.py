"""The whole show, from an empty folder until the last process has gone."""

from __future__ import annotations

import asyncio
import platform
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from sluiceway.demo import tally
from sluiceway.demo.calibrate import rows_per_second
from sluiceway.demo.figures import Figures, figures_of
from sluiceway.demo.meltdown import calm, meltdown
from sluiceway.demo.recording import Recording
from sluiceway.demo.report import write_report
from sluiceway.demo.shop import running_shop
from sluiceway.demo.sizes import Sizes, busy_cores, cores
from sluiceway.demo.telling import Teller
from sluiceway.demo.with_sluiceway import fleets_of, queues_yaml, with_sluiceway
from sluiceway.local.processes import Guard
from sluiceway.local.server import EmbeddedServer
from sluiceway_sample.report import MAX_ROWS

CALM_S = 3.0
"""How long the light page is watched before anybody clicks."""


async def play(sizes: Sizes, teller: Teller, target: Path) -> Figures:
    """Run the show, tell it, and write its report into ``target``.

    However it ends, no process is left behind: what the blocks here do not end,
    because this process is gone, its guard does.

    Raises:
        NoServerError: there is no Redis-compatible server to run.
        ShopError: the web app did not start.
        OSError: the report cannot be written.
    """
    async with _backstage() as room, running_shop(room.folder, room.broker_url, room.guard) as shop:
        teller.opening()
        speed = await rows_per_second(shop.url)
        rows = sizes.rows_at(speed, MAX_ROWS)
        quiet = await calm(shop, CALM_S, room.guard)
        cost_s = rows / speed * busy_cores()
        teller.setting(sizes, rows, cost_s, quiet)

        with teller.first_act() as stage:
            before = await meltdown(shop, sizes, rows, room.guard, stage)
        teller.after_the_first(before)

        yaml = queues_yaml(sizes.max_workers)
        async with fleets_of(yaml, shop, room.broker_url, room.folder / "workers") as watch:
            with teller.second_act(yaml) as stage:
                after = await with_sluiceway(shop, sizes, rows, room.guard, watch, stage)
            fleets = watch.fleets()
        teller.after_the_second(after)

        show = Recording(
            sizes=sizes,
            cores=cores(),
            system=f"{platform.system()}, Python {platform.python_version()}",
            rows=rows,
            export_cost_s=cost_s,
            calm=quiet,
            before=before,
            after=after,
            fleets=fleets,
            runs=tally.runs(shop.database),
            tallies={name: tally.count(shop.database, name) for name in ("exports", "emails", "")},
            queues_yaml=yaml,
        )
        figures = figures_of(show)
        paths = await asyncio.to_thread(write_report, show, figures, shop.database, target)
        teller.ending(figures, paths)
        return figures


@dataclass(frozen=True, kw_only=True, slots=True)
class _Room:
    """Where the show's processes live."""

    folder: Path
    guard: Guard
    broker_url: str


@asynccontextmanager
async def _backstage() -> AsyncIterator[_Room]:
    """A folder that goes with the show, a guard over its processes, and a broker."""
    with tempfile.TemporaryDirectory(prefix="sluiceway-demo-") as name:
        folder = Path(name)
        guard = Guard()
        guard.folder(folder)
        try:
            server = await EmbeddedServer.start(folder, guard)
            try:
                yield _Room(folder=folder, guard=guard, broker_url=server.url)
            finally:
                await server.stop()
        finally:
            await asyncio.to_thread(guard.close)
