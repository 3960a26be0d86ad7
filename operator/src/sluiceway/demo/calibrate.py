"""How fast this machine makes exports, so that the show lasts as long on any machine.

Measured the way the meltdown will run: all request workers at once, through the
web app. So a machine with few cores, or a container with a quota, is measured as
what it is.
"""

from __future__ import annotations

import asyncio
import time

import httpx

from sluiceway.demo.sizes import WEB_WORKERS

_WARM_UP_ROWS = 20
_ROWS = 200


async def rows_per_second(url: str) -> float:
    """Report rows per second, all cores of the machine together.

    Raises:
        httpx.HTTPError: the shop does not answer.
    """
    async with httpx.AsyncClient(base_url=url, timeout=300, trust_env=False) as client:
        await _exports(client, _WARM_UP_ROWS)
        return WEB_WORKERS * _ROWS / await _exports(client, _ROWS)


async def _exports(client: httpx.AsyncClient, rows: int) -> float:
    """Seconds for as many exports at once as there are request workers."""
    started = time.perf_counter()
    answers = await asyncio.gather(
        *(client.post("/exports/inline", data={"rows": rows}) for _ in range(WEB_WORKERS))
    )
    took = time.perf_counter() - started
    for answer in answers:
        if answer.is_error:
            answer.raise_for_status()
    return took
