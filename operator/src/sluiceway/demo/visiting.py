"""Visitors on the site for as long as a block lasts, and what became of them so far."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sluiceway.demo.shop import end
from sluiceway.demo.visitors import PATIENCE_S, Plan
from sluiceway.demo.visits import VisitLog
from sluiceway.local.processes import Child, Guard


@asynccontextmanager
async def visiting(plan: Plan, guard: Guard) -> AsyncIterator[VisitLog]:
    """Start the visitors' process; at the block's end nobody new comes, and all are answered.

    The log fills while the block runs. When the block raises, or is cancelled,
    the visitors are sent away at once.
    """
    log = VisitLog()
    ours, theirs = os.pipe()
    with os.fdopen(theirs, "wb") as output:
        child = Child(
            [sys.executable, "-m", "sluiceway.demo.visitors", plan.to_json()],
            guard=guard,
            grace_s=0.0,
            env=os.environ,
            output=output,
            cwd=Path.cwd(),
        )
    reading = asyncio.create_task(_read(ours, log))
    grace_s = 0.0
    try:
        yield log
        grace_s = PATIENCE_S
    finally:
        await end(child, grace_s)
        await reading


async def _read(descriptor: int, log: VisitLog) -> None:
    """Every line until the visitors have gone."""
    reader = asyncio.StreamReader()
    with os.fdopen(descriptor, "rb") as pipe:
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        try:
            async for line in reader:
                log.read(line)
        finally:
            transport.close()
