"""/healthz proves progress: what stands still is named, whatever port still answers."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from sluiceway.cluster.serving import (
    ServingError,
    Told,
    keep_beating,
    parse_listen_address,
    serving,
)
from sluiceway.report.health import Heartbeats, not_ready


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_beats_in_time_is_alive(clock: Clock) -> None:
    beats = Heartbeats(clock)
    tick = beats.expect("ticks", 60.0)
    for _ in range(10):
        clock.now += 50.0
        tick()

    assert beats.health().alive
    assert beats.health().problem is None


def test_what_stands_still_is_named_with_how_long_and_the_rest_is_not(clock: Clock) -> None:
    beats = Heartbeats(clock)
    beats.expect("ticks", 60.0)
    lease = beats.expect("Lease attempts", 30.0)
    clock.now += 61.0
    lease()

    health = beats.health()

    assert not health.alive
    assert health.problem == "ticks has not moved for 61 s (limit 60 s)"


def test_what_never_came_round_once_is_overdue_from_when_it_was_expected(clock: Clock) -> None:
    beats = Heartbeats(clock)
    beats.expect("watching", 60.0)
    clock.now += 60.0
    assert beats.health().alive

    clock.now += 1.0

    assert not beats.health().alive


def test_ticks_are_expected_only_of_the_replica_that_leads(clock: Clock) -> None:
    beats = Heartbeats(clock)
    tick = beats.expect("ticks", 60.0)
    beats.forget("ticks")
    clock.now += 1_000.0
    tick()  # a last one that was under way

    assert beats.health().alive
    assert beats.health().beats == {}


def test_a_second_term_is_not_kept_alive_by_the_ticks_of_the_first(clock: Clock) -> None:
    beats = Heartbeats(clock)
    first = beats.expect("ticks", 60.0)
    beats.forget("ticks")
    beats.expect("ticks", 60.0)
    clock.now += 61.0
    first()

    assert not beats.health().alive


def test_not_ready_says_what_is_missing() -> None:
    needs = {"pods": lambda: "the first list is not complete", "lease": lambda: None}

    assert not_ready(needs) == {"pods": "the first list is not complete"}


@asynccontextmanager
async def served(
    beats: Heartbeats, missing: dict[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    told = Told(
        health=beats.health,
        not_ready=lambda: missing or {},
        exposition=lambda accept: (iter([f"asked for {accept}\n".encode()] * 500), "text/plain"),
    )
    async with (
        serving("127.0.0.1:0", told) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as session,
    ):
        yield session


async def test_healthz_is_200_while_all_move_and_503_once_one_does_not(clock: Clock) -> None:
    beats = Heartbeats(clock)
    beats.expect("ticks", 60.0)
    async with served(beats) as session:
        async with session.get("/healthz") as answer:
            assert answer.status == 200
            assert (await answer.json())["alive"] is True
        clock.now += 90.0
        async with session.get("/healthz") as answer:
            assert answer.status == 503
            said = await answer.json()
    assert said["problem"] == "ticks has not moved for 90 s (limit 60 s)"
    assert said["beats"]["ticks"] == {"agoSeconds": 90.0, "limitSeconds": 60.0, "overdue": True}


async def test_readyz_says_what_is_missing_until_nothing_is(clock: Clock) -> None:
    missing = {"pods": "the first list is not complete"}
    async with served(Heartbeats(clock), missing) as session:
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert await answer.json() == {"ready": False, "missing": missing}
        missing.clear()
        async with session.get("/readyz") as answer:
            assert answer.status == 200


async def test_metrics_are_in_the_format_that_is_asked_for_and_compressed(clock: Clock) -> None:
    async with served(Heartbeats(clock)) as session:
        headers = {"Accept": "application/openmetrics-text", "Accept-Encoding": "gzip"}
        async with session.get("/metrics", headers=headers, auto_decompress=False) as answer:
            compressed = await answer.read()
            assert answer.headers["Content-Type"] == "text/plain"
    text = gzip.decompress(compressed).decode()
    assert text == "asked for application/openmetrics-text\n" * 500
    assert len(compressed) < len(text) / 10


async def test_while_metrics_are_written_the_event_loop_turns(clock: Clock) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    turned = asyncio.create_task(turn())
    told = Told(
        health=Heartbeats(clock).health,
        not_ready=dict,
        exposition=lambda _: ((f"{turns}\n".encode() for _ in range(20)), "text/plain"),
    )
    async with (
        serving("127.0.0.1:0", told) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as session,
    ):
        async with session.get("/metrics") as answer:
            seen = (await answer.text()).split()
        async with session.head("/metrics") as answer:
            assert (answer.status, await answer.read()) == (200, b"")
        async with session.get("/healthz") as answer:
            assert answer.status == 200
    turned.cancel()

    assert len(set(seen)) == 20, "others had their turn between any two pieces"


async def test_the_event_loop_beats_for_as_long_as_it_turns() -> None:
    beaten: asyncio.Queue[None] = asyncio.Queue()
    beating = asyncio.ensure_future(keep_beating(lambda: beaten.put_nowait(None), every_s=0.0))
    for _ in range(3):
        await beaten.get()
    beating.cancel()


async def test_an_address_that_is_taken_is_a_sentence(clock: Clock) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        told = Told(
            health=Heartbeats(clock).health, not_ready=dict, exposition=lambda _: (iter(()), "")
        )
        with pytest.raises(ServingError, match=rf"cannot listen on {address} \(.*in use"):
            async with serving(address, told):
                pass


@pytest.mark.parametrize(
    ("address", "parsed"),
    [
        (":8080", (None, 8080)),
        ("127.0.0.1:0", ("127.0.0.1", 0)),
        ("[::1]:8080", ("::1", 8080)),
    ],
)
def test_addresses_are_read_as_other_operators_read_them(
    address: str, parsed: tuple[str | None, int]
) -> None:
    assert parse_listen_address(address) == parsed


@pytest.mark.parametrize("address", ["8080", "localhost", ":http", ":70000", ""])
def test_what_is_no_address_is_told_what_to_write(address: str) -> None:
    with pytest.raises(ServingError, match=r"write :8080 for all interfaces"):
        parse_listen_address(address)
