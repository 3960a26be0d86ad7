"""Reading one key: how often, and what is said when there is none."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from sluiceway.kube.errors import KubeError
from sluiceway.kube.secrets import (
    AGAIN_AFTER_S,
    CACHED_S,
    FORGOTTEN_AFTER_S,
    Holder,
    KeyReader,
    KeyRef,
)

URL = KeyRef(holder=Holder.SECRET, namespace="shop", name="redis", key="url")


def secret(**values: str) -> bytes:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return json.dumps({"kind": "Secret", "data": data}).encode()


class Server:
    """Answers with one body, or an error, and counts."""

    def __init__(self) -> None:
        self.answer: bytes | KubeError = secret(url="redis://one")
        self.paths: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def request(self, method: str, path: str) -> bytes:
        assert method == "GET"
        self.paths.append(path)
        await self.gate.wait()
        if isinstance(self.answer, KubeError):
            raise self.answer
        return self.answer


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def reader(server: Server, clock: Clock) -> KeyReader:
    return KeyReader(server, clock=clock)


async def test_a_value_is_asked_for_by_name_and_decoded(server: Server, reader: KeyReader) -> None:
    found = await reader.read(URL)
    assert found.value == "redis://one"
    assert server.paths == ["/api/v1/namespaces/shop/secrets/redis"]


async def test_a_value_is_kept_for_a_minute_and_then_read_again(
    server: Server, clock: Clock, reader: KeyReader
) -> None:
    await reader.read(URL)
    server.answer = secret(url="redis://two")
    clock.now = CACHED_S - 1
    assert (await reader.read(URL)).value == "redis://one"
    clock.now = CACHED_S
    assert (await reader.read(URL)).value == "redis://two"


async def test_a_value_that_was_refused_is_read_again_but_not_at_every_failure(
    server: Server, clock: Clock, reader: KeyReader
) -> None:
    await reader.read(URL)
    server.answer = secret(url="redis://two")
    clock.now = AGAIN_AFTER_S
    reader.distrust(URL)
    assert (await reader.read(URL)).value == "redis://two"
    reader.distrust(URL)
    await reader.read(URL)
    assert len(server.paths) == 2


async def test_many_who_ask_at_once_are_one_request_and_one_may_leave(
    server: Server, reader: KeyReader
) -> None:
    server.gate.clear()
    asking = [asyncio.create_task(reader.read(URL)) for _ in range(5)]
    await asyncio.sleep(0)
    asking[0].cancel()
    await asyncio.sleep(0)
    server.gate.set()
    found = await asyncio.gather(*asking[1:])
    assert {one.value for one in found} == {"redis://one"}
    assert len(server.paths) == 1


async def test_a_missing_object_is_a_sentence_and_is_soon_looked_for_again(
    server: Server, clock: Clock, reader: KeyReader
) -> None:
    server.answer = KubeError("not found", status=404)
    found = await reader.read(URL)
    assert found.value is None
    assert found.problem == "Secret shop/redis does not exist; create it, or correct its name"
    server.answer = secret(url="redis://one")
    clock.now = AGAIN_AFTER_S
    assert (await reader.read(URL)).value == "redis://one"


async def test_a_missing_key_is_a_sentence_that_names_those_there_are(
    server: Server, reader: KeyReader
) -> None:
    server.answer = secret(host="h", password="hush")
    problem = (await reader.read(URL)).problem
    assert problem == "Secret shop/redis has no key «url» (it has host, password); correct the key"
    assert "hush" not in problem


async def test_an_empty_value_is_none(server: Server, reader: KeyReader) -> None:
    server.answer = secret(url=" \n")
    assert (await reader.read(URL)).problem == "the key «url» of Secret shop/redis is empty"


async def test_while_the_api_server_is_away_the_last_value_stands(
    server: Server, clock: Clock, reader: KeyReader
) -> None:
    await reader.read(URL)
    server.answer = KubeError("nothing listens there")
    clock.now = CACHED_S
    assert (await reader.read(URL)).value == "redis://one"


@pytest.mark.parametrize("status", [401, 429, 500, 503])
async def test_a_server_that_stumbles_or_asks_to_wait_does_not_take_the_value_away(
    status: int, server: Server, clock: Clock, reader: KeyReader
) -> None:
    await reader.read(URL)
    server.answer = KubeError("it asks to wait", status=status)
    clock.now = CACHED_S
    assert (await reader.read(URL)).value == "redis://one"


async def test_a_right_that_was_taken_away_ends_the_value(
    server: Server, clock: Clock, reader: KeyReader
) -> None:
    await reader.read(URL)
    server.answer = KubeError("a permission is missing", status=403)
    clock.now = CACHED_S
    found = await reader.read(URL)
    assert found.value is None
    assert found.problem == "Secret shop/redis cannot be read: a permission is missing"


async def test_what_nobody_asks_for_any_more_is_forgotten(
    server: Server, clock: Clock, reader: KeyReader
) -> None:
    await reader.read(URL)
    clock.now = FORGOTTEN_AFTER_S + 1
    server.answer = KubeError("nothing listens there")
    other = KeyRef(holder=Holder.SECRET, namespace="shop", name="other", key="url")
    await reader.read(other)
    assert (await reader.read(URL)).value is None


async def test_a_config_map_is_read_as_it_is(server: Server, reader: KeyReader) -> None:
    server.answer = json.dumps({"data": {"url": "redis://plain"}}).encode()
    ref = KeyRef(holder=Holder.CONFIG_MAP, namespace="shop", name="settings", key="url")
    assert (await reader.read(ref)).value == "redis://plain"
    assert server.paths == ["/api/v1/namespaces/shop/configmaps/settings"]


async def test_a_value_is_never_shown(reader: KeyReader) -> None:
    assert "redis://one" not in repr(await reader.read(URL))
