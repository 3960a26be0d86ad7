"""The visitors of the shop: a process that clicks, measures, and does nothing else.

A process of its own, so that neither drawing the terminal nor deciding about
workers can delay a measurement. Its one argument is a plan as JSON (``Plan``);
it writes a line for everything that happens (visits.py), and leaves on SIGTERM
once everybody was answered.

The bystander asks for the light page at a fixed pace, whether or not the last
page has come: a client that waits its turn would hardly notice a site that
stands still (coordinated omission).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from sluiceway.demo.visits import Kind, line_of

PATIENCE_S = 300.0
"""Nobody gives up before that: how long they really wait is what is measured."""

ASK_EVERY_S = 1.0
"""How often the page of a visitor who was given a task id asks for the result."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What the visitors of one act do."""

    url: str
    page_every_s: float = 0.1
    clicks: tuple[float, ...] = ()
    """When, in seconds from the start."""
    click_path: str = "/exports"
    rows: int = 0
    mail_every_s: float | None = None

    def to_json(self) -> str:
        return json.dumps(asdict(self))


class Visitors:
    """Everybody who is on the site."""

    def __init__(self, plan: Plan, client: httpx.AsyncClient) -> None:
        self._plan = plan
        self._client = client
        self._numbers = itertools.count()
        self._leaving = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    def leave(self) -> None:
        """Send nothing new; ``visit`` returns when everybody was answered."""
        self._leaving.set()

    async def visit(self) -> None:
        """Carry the plan out until told to leave."""
        plan = self._plan
        self._go(self._at_a_pace(plan.page_every_s, self._load_page))
        if plan.mail_every_s:
            self._go(self._at_a_pace(plan.mail_every_s, self._write_mail))
        for at in plan.clicks:
            self._go(self._click(at))
        await self._leaving.wait()
        while self._under_way:
            await asyncio.wait(self._under_way)

    def _go(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _at_a_pace(
        self, every_s: float, act: Callable[[], Coroutine[Any, Any, None]]
    ) -> None:
        loop = asyncio.get_running_loop()
        start = loop.time()
        for turn in itertools.count():
            wait = start + turn * every_s - loop.time()
            try:
                await asyncio.wait_for(self._leaving.wait(), max(0.0, wait))
                return
            except TimeoutError:
                self._go(act())

    async def _load_page(self) -> None:
        await self._ask(Kind.PAGE, "GET", "/")

    async def _write_mail(self) -> None:
        mail = {"recipient": "somebody@shop.example", "subject": "Your order"}
        await self._ask(Kind.MAIL, "POST", "/emails", data=mail)

    async def _click(self, at: float) -> None:
        """Click on «Export», and stay until the PDF is there, or until none will come."""
        await asyncio.sleep(at)
        clicked = time.perf_counter()
        number, answer = await self._ask(
            Kind.CLICK, "POST", self._plan.click_path, data={"rows": self._plan.rows}
        )
        place = answer.headers.get("Location") if answer is not None else None
        if place is not None and await self._fetch_pdf(place):
            self._say(number, pdf_s=time.perf_counter() - clicked)
        self._say(number, over=True)

    async def _fetch_pdf(self, place: str) -> bool:
        """Go where the answer pointed: to the PDF itself, or to a task that makes it."""
        while True:
            try:
                got = await self._client.get(place)
            except httpx.HTTPError:
                return False
            if got.is_error:
                return False
            if got.headers["Content-Type"] == "application/pdf":
                return got.content.startswith(b"%PDF")
            task = got.json()
            if "pdf" in task:
                place = task["pdf"]
            elif task["outcome"] == "FAILURE":
                return False
            else:
                await asyncio.sleep(ASK_EVERY_S)

    async def _ask(
        self, kind: Kind, method: str, path: str, **kwargs: Any
    ) -> tuple[int, httpx.Response | None]:
        number = next(self._numbers)
        self._say(number, kind=kind, sent_at=time.time())
        sent = time.perf_counter()
        try:
            answer = await self._client.request(method, path, **kwargs)
        except httpx.HTTPError:
            self._say(number, took_s=time.perf_counter() - sent, ok=False)
            return number, None
        self._say(number, took_s=time.perf_counter() - sent, ok=not answer.is_error)
        return number, answer

    def _say(self, number: int, **change: object) -> None:
        print(line_of(number, **change), flush=True)


async def main(plan: Plan) -> None:
    """Visit the shop until SIGTERM."""
    # Every request is another visitor's: no connection is used twice.
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=plan.url, timeout=PATIENCE_S, limits=limits, trust_env=False
    ) as client:
        # A client's first request also pays for its own start: that one is nobody's visit.
        await client.get("/")
        visitors = Visitors(plan, client)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, visitors.leave)
        await visitors.visit()


if __name__ == "__main__":
    asyncio.run(main(Plan(**json.loads(sys.argv[1]))))
