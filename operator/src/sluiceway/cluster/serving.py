"""The operator's HTTP: /healthz proves progress, /readyz says what is missing, /metrics.

For kubelets and Prometheus. It only tells; nothing can be changed through it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import web

from sluiceway.report.health import Health

EVENT_LOOP_BEAT_S = 1.0

_STOP_S = 1.0
"""For answers under way when the operator stops."""


class ServingError(Exception):
    """The address cannot be used; ``str()`` is the sentence."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What is told of the operator, asked for anew at each request."""

    health: Callable[[], Health]
    not_ready: Callable[[], Mapping[str, str]]
    """What is missing: name → sentence; empty when it is ready."""
    exposition: Callable[[str], tuple[Iterator[bytes], str]]
    """From the request's Accept header to all metrics as text, in pieces, and its media
    type."""


@asynccontextmanager
async def serving(address: str, told: Told) -> AsyncIterator[tuple[str, int]]:
    """Answer for as long as the block lasts; it is given the host and the port.

    Args:
        address: ``:8080`` for all interfaces, or ``127.0.0.1:0`` for a free port.

    Raises:
        ServingError: it is no address, or is taken.
    """
    host, port = parse_listen_address(address)
    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", _healthz(told)),
            web.get("/readyz", _readyz(told)),
            web.get("/metrics", _metrics(told)),
        ]
    )
    # No line for each probe.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=_STOP_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as exc:
            why = os.strerror(exc.errno) if exc.errno else str(exc)
            raise ServingError(
                f"cannot listen on {address} ({why}); choose another --address"
            ) from exc
        bound = runner.addresses[0]
        yield bound[0], bound[1]
    finally:
        await runner.cleanup()


async def keep_beating(beat: Callable[[], None], every_s: float = EVENT_LOOP_BEAT_S) -> None:
    """Beat for as long as the event loop turns; until cancelled."""
    while True:
        beat()
        await asyncio.sleep(every_s)


def parse_listen_address(address: str) -> tuple[str | None, int]:
    """Host (None for all interfaces) and port.

    Raises:
        ServingError: it is none.
    """
    host, colon, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isdecimal() or int(port) > 65_535:
        raise ServingError(
            f"{address} is no address to listen on; write :8080 for all interfaces, or "
            "127.0.0.1:8080"
        )
    return host or None, int(port)


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _healthz(told: Told) -> Handler:
    async def healthz(_: web.Request) -> web.Response:
        health = told.health()
        beats = {
            name: {
                "agoSeconds": round(moved.ago_s, 1),
                "limitSeconds": moved.limit_s,
                "overdue": moved.overdue,
            }
            for name, moved in health.beats.items()
        }
        return web.json_response(
            {"alive": health.alive, "problem": health.problem, "beats": beats},
            status=200 if health.alive else 503,
        )

    return healthz


def _readyz(told: Told) -> Handler:
    async def readyz(_: web.Request) -> web.Response:
        missing = dict(told.not_ready())
        return web.json_response(
            {"ready": not missing, "missing": missing}, status=503 if missing else 200
        )

    return readyz


def _metrics(told: Told) -> Handler:
    async def metrics(request: web.Request) -> web.StreamResponse:
        pieces, media_type = told.exposition(request.headers.get("Accept", ""))
        response = web.StreamResponse(headers={"Content-Type": media_type})
        if request.method == "HEAD":
            return response
        response.enable_compression()  # a tenth of the bytes, where the client takes it
        await response.prepare(request)
        # Not in another thread, which would keep the interpreter from this one for longer
        # than any of the pieces takes.
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0)
        await response.write_eof()
        return response

    return metrics
