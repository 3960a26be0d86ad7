"""The sample shop under gunicorn: started, waited for, and ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from sluiceway.local.processes import Child, Guard
from sluiceway.local.said import last_lines
from sluiceway.local.server import free_port

_STARTS_WITHIN_S = 60.0
_GRACE_S = 5.0


class ShopError(Exception):
    """The web app did not start; the message has its last words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shop:
    """A running shop."""

    url: str
    database: Path
    env: dict[str, str]
    """What its workers need in their environment, the broker's address apart."""


@asynccontextmanager
async def running_shop(folder: Path, broker_url: str, guard: Guard) -> AsyncIterator[Shop]:
    """A shop with its database and log in ``folder``, as long as the block lasts.

    Raises:
        ShopError: gunicorn ended by itself, or nobody answered in time.
    """
    address = f"127.0.0.1:{free_port()}"
    shop = Shop(
        url=f"http://{address}",
        database=folder / "shop.sqlite3",
        env={"SHOP_DATABASE": str(folder / "shop.sqlite3"), "SHOP_URL": f"http://{address}"},
    )
    log = folder / "web.log"
    with log.open("ab") as output:
        child = Child(
            [sys.executable, "-m", "gunicorn", "-c", "python:sluiceway_sample.serving"],
            guard=guard,
            grace_s=_GRACE_S,
            env={
                **os.environ,
                **shop.env,
                "SHOP_BIND": address,
                "CELERY_BROKER_URL": broker_url,
                "CELERY_RESULT_BACKEND": broker_url,
            },
            output=output,
            cwd=folder,
        )
    try:
        await _until_it_answers(shop.url, child, log)
        yield shop
    finally:
        await end(child)


async def end(child: Child, grace_s: float = _GRACE_S) -> None:
    """SIGTERM, and SIGKILL to its whole group when its grace period is over."""
    child.send(signal.SIGTERM)
    await asyncio.wait([child.exited], timeout=grace_s)
    child.send_group(signal.SIGKILL)
    await asyncio.wait([child.exited])


async def _until_it_answers(url: str, child: Child, log: Path) -> None:
    try:
        async with asyncio.timeout(_STARTS_WITHIN_S), httpx.AsyncClient(trust_env=False) as client:
            while not child.exited.done():
                try:
                    (await client.get(url)).raise_for_status()
                    return
                except httpx.HTTPError:
                    await asyncio.sleep(0.05)
    except TimeoutError:
        pass
    said = last_lines(log) or ("it said nothing",)
    raise ShopError(f"the shop's web app did not start: {said[-1]}")
