"""The first act: exports inside the request, and a bystander who only wants the light page."""

from __future__ import annotations

import asyncio
import time

from sluiceway.demo.recording import Act
from sluiceway.demo.scene import scene
from sluiceway.demo.screen import Stage
from sluiceway.demo.shop import Shop
from sluiceway.demo.sizes import Sizes
from sluiceway.demo.visiting import visiting
from sluiceway.demo.visitors import Plan
from sluiceway.demo.visits import Kind, Visit
from sluiceway.local.processes import Guard

LOOK_EVERY_S = 0.25


async def calm(shop: Shop, seconds: float, guard: Guard) -> tuple[Visit, ...]:
    """The light page while nothing happens: how it should be."""
    async with visiting(Plan(url=shop.url), guard) as log:
        await asyncio.sleep(seconds)
    return log.of(Kind.PAGE)


async def meltdown(shop: Shop, sizes: Sizes, rows: int, guard: Guard, stage: Stage) -> Act:
    """Everybody clicks, and ten web workers make PDFs until the last visitor has one."""
    plan = Plan(url=shop.url, clicks=sizes.click_times(), click_path="/exports/inline", rows=rows)
    started_at = time.time()
    async with visiting(plan, guard) as log:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            now = scene(log, started_at=started_at, now=time.time(), clicks=sizes.clicks)
            stage.show(now)
            if now.everybody_left:
                break
    return Act.of(log)
