"""Dead letters: what is kept of messages that were given up, and how they come to life again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from sluiceway.broker.connection import Broker
from sluiceway.broker.errors import BrokerError, sentence
from sluiceway_worker.fate import forgiven
from sluiceway_worker.wire import Letter, dead_key

_RELEASE = """
if redis.call('HEXISTS', ARGV[1], ARGV[2]) == 0 then return 0 end
local pushed = redis.pcall('LPUSH', ARGV[3], ARGV[4])
if type(pushed) == 'table' and pushed.err then return pushed end
redis.call('HDEL', ARGV[1], ARGV[2])
return 1
"""
# To the back of the line: what stands there has waited without a death.

_PAGE = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Kept:
    """One dead letter, and where it lies."""

    key: str
    tag: str
    letter: Letter


async def letters(broker: Broker, prefix: str, fleet: str | None = None) -> AsyncIterator[Kept]:
    """The dead letters of a fleet (``namespace/name``), or with None of all under the prefix.

    Raises:
        BrokerError: they could not be read.
    """
    if fleet is not None:
        keys = [dead_key(prefix, fleet)]
    else:
        keys = [key async for key in _keys(broker, dead_key(prefix, ""))]
    for key in sorted(keys):
        cursor: Any = b"0"
        while True:
            cursor, raw = await _one(broker, "HSCAN", key, cursor, "COUNT", _PAGE)
            pairs = raw.items() if isinstance(raw, dict) else zip(raw[::2], raw[1::2], strict=True)
            for tag, value in pairs:
                yield Kept(key=key, tag=tag.decode(), letter=_letter(value))
            if int(cursor) == 0:
                break


async def release(broker: Broker, prefix: str, kept: Kept) -> bool:
    """Give it out again, with all its lives: id, arguments and history stay.

    Returns:
        False where it is not there any more: somebody else released or dropped it.

    Raises:
        BrokerError: it could not be done; it is where it was.
    """
    message = forgiven(kept.letter.message)
    args = (kept.key, kept.tag, f"{prefix}{kept.letter.source}", message)
    return bool(await _one(broker, "EVAL", _RELEASE, 0, *args))


async def drop(broker: Broker, kept: Kept) -> bool:
    """Forget it for good; False where it is not there any more.

    Raises:
        BrokerError: it could not be done.
    """
    return bool(await _one(broker, "HDEL", kept.key, kept.tag))


async def _keys(broker: Broker, start: str) -> AsyncIterator[str]:
    pattern = "".join(f"\\{c}" if c in "*?[]\\^" else c for c in start) + "*"
    cursor: Any = b"0"
    seen = set()
    while True:
        cursor, found = await _one(broker, "SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
        for key in found:
            if key not in seen:
                seen.add(key)
                yield key.decode()
        if int(cursor) == 0:
            return


def _letter(value: bytes) -> Letter:
    try:
        return Letter.from_bytes(value)
    except ValueError as exc:
        raise BrokerError(f"a dead letter cannot be read ({exc}); is this command older?") from exc


async def _one(broker: Broker, *command: Any) -> Any:
    (reply,) = await broker.run([command])
    if isinstance(reply, ResponseError):
        raise BrokerError(sentence(reply, broker.address))
    return reply
