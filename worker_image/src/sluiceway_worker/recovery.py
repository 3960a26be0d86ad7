"""Coming back: what a dead incarnation held goes back to the lists it came from.

One operation for all who may learn of a death: an operator, the next worker in the same
pod, local mode. It may run at any time, any number of times, by several at once. A tag in
the holdings stands for one take and for no other, so a message is moved only while it is
still the dead one's, in the same script that looks.

Nothing here does I/O: ``recovery`` yields batches of Redis commands and is sent their
replies, so that a blocking client (``recover``) and an asynchronous one share it.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from sluiceway_worker import wire, words
from sluiceway_worker.fate import MAX_DELIVERIES, Death, Fate, fate_of
from sluiceway_worker.finished import is_later

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable, Sequence

    import redis

    from sluiceway_worker.finished import Asks

    Command = tuple[str | bytes | int | float, ...]
    Steps = Generator[list[Command], list[Any], "Recovered"]

T = TypeVar("T")

TASK_NAMES = 5
"""At most so many names of tasks are told of one death."""

_BATCH_BYTES = 500_000
_BATCH = 200
_ROUNDS = 3
_RESULT_KEY = "celery-task-meta-"
_SUCCESS = b'{"status": "SUCCESS"'
_DATE_DONE = re.compile(rb'"date_done": "([^"]{10,40})"')
_END = 400
"""Bytes at the end of a result in which its date is looked for: the value may be large."""

MOVE = """
if ARGV[4] ~= '' and redis.call('EXISTS', ARGV[4]) == 1 then return -1 end
-- A server without memory refuses a script by its first write. What only moves needs none.
redis.call('HDEL', ARGV[3], '')
local moved = {}
for i = 5, #ARGV, 4 do
  local tag, way, key, value = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local over = true
  if redis.call('HEXISTS', ARGV[1], tag) == 1 then
    local put = {}
    if way == 'back' then put = redis.pcall('RPUSH', key, value)
    elseif way == 'dead' then put = redis.pcall('HSET', key, tag, value)
    elseif way == 'gone' then over = false
    end
    if type(put) == 'table' and put.err then over = false end
    if over then
      redis.call('HDEL', ARGV[1], tag)
      redis.call('ZREM', ARGV[2], tag)
      moved[#moved + 1] = tag
    end
  end
  if over then redis.call('HDEL', ARGV[3], tag) end
end
return moved
"""
"""Move what still stands in ``unacked`` under its tag; what does not is only forgotten.

ARGV: ``unacked``, ``unacked_index``, the holdings; a heartbeat that must not be there, or
``''``; then for each message its tag, a word, a key and a value: ``back`` (to the head of
that list), ``dead`` (into that hash of dead letters), ``done`` (acknowledge), ``gone`` (it
was not there when it was looked at). Where the value cannot be written it stays in
``unacked``. Returns the tags that were moved; -1: the heartbeat is there.
"""

LET_GO = """
if ARGV[3] ~= '' and redis.call('EXISTS', ARGV[3]) == 1 then return -1 end
if redis.call('EXISTS', ARGV[1]) == 1 then return 0 end
redis.call('HDEL', ARGV[2], ARGV[4])
return 1
"""
"""Forget a holder who holds nothing any more.

ARGV: the holdings, the hash of holders, a heartbeat that must not be there or ``''``, the
incarnation. Returns 1: forgotten; 0: something is left; -1: the heartbeat is there.
"""


class RecoveryError(Exception):
    """The broker refused something; what was not moved is where it was."""


@dataclass(frozen=True)
class Place:
    """Where an application's messages lie."""

    prefix: str = ""
    unacked: str = "unacked"
    index: str = "unacked_index"
    """The names of kombu's hash and index, without the prefix."""


@dataclass
class Recovered:
    """What came of the recovery of one incarnation."""

    death: Death
    returned: int = 0
    finished: int = 0
    """Acknowledged, because a result says that they succeeded."""
    dead: int = 0
    running: Counter[str] = field(default_factory=Counter)
    """Names of the tasks that it may have been running, and how many of each."""
    lives: bool = False
    """Nothing was done, or no more of it: it is heard again."""

    @property
    def moved(self) -> int:
        """How many messages were in its name."""
        return self.returned + self.finished + self.dead

    def names(self) -> str:
        """The most frequent names, for a sentence; "" where none is known."""
        told = [f"{count} × {name}" for name, count in self.running.most_common(TASK_NAMES)]
        more = len(self.running) - len(told)
        return ", ".join([*told, f"{more} more"] if more > 0 else told)


def recovery(
    place: Place,
    death: Death,
    *,
    fleet: str = "",
    max_deliveries: int = MAX_DELIVERIES,
    finished: Asks | None = None,
    only: Collection[str] | None = None,
) -> Steps:
    """Everything that the dead incarnation holds goes where it belongs.

    Args:
        place: where to look.
        fleet: under whose name dead letters are kept.
        max_deliveries: deaths after which a message is a dead letter.
        finished: says whether a run is known to have succeeded. Default: Celery's results in
            the same database are looked at.
        only: these tags alone, of an incarnation that lives: a process of its pool died.

    Yields:
        Batches of commands; their replies are to be sent back, errors as exceptions.

    Raises:
        RecoveryError: the broker refused.
    """
    keys = _Keys.of(place, death)
    done = Recovered(death)
    for _ in range(_ROUNDS):
        # A command that the dead one had sent may arrive while this goes on.
        raw, about = checked(
            (yield [("HGETALL", keys.held), ("HGET", keys.holders, death.incarnation)])
        )
        held = {text(tag): text(how) for tag, how in pairs(raw)}
        # The oldest take is pushed last: it is the first to be taken again.
        tags = sorted(held if only is None else held.keys() & only, reverse=True)
        for start in range(0, len(tags), _BATCH):
            chunk = tags[start : start + _BATCH]
            sizes = checked((yield [("HSTRLEN", keys.unacked, tag) for tag in chunk]))
            for group in _by_size(chunk, sizes):
                yield from _move(
                    keys, {tag: held[tag] for tag in group}, done, fleet, max_deliveries, finished
                )
                if done.lives:
                    return done
        if only is not None:
            return done
        (left,) = checked(
            (yield [script(LET_GO, keys.held, keys.holders, keys.heartbeat, death.incarnation)])
        )
        done.lives = left == -1
        if left:
            break
    if not done.lives:
        yield from _wake(keys, wire.Holder.from_text(about or b""), done)
    return done


def recover(client: redis.Redis, steps: Generator[list[Command], list[Any], T]) -> T:
    """Carry out a recovery, or what else goes in such steps, with a blocking client.

    Raises:
        redis.RedisError: the connection failed. Doing it again is safe.
        RecoveryError: the broker refused.
    """
    batch = next(steps)
    try:
        while True:
            with client.pipeline(transaction=False) as pipe:
                execute: Any = pipe.execute_command
                for command in batch:
                    execute(*command)
                batch = steps.send(pipe.execute(raise_on_error=False))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Keys:
    place: Place
    unacked: str
    index: str
    held: str
    holders: str
    heartbeat: str

    @classmethod
    def of(cls, place: Place, death: Death) -> _Keys:
        prefix, incarnation = place.prefix, death.incarnation
        return cls(
            place,
            f"{prefix}{place.unacked}",
            f"{prefix}{place.index}",
            wire.held_key(prefix, incarnation),
            wire.holders_key(prefix),
            "" if death.proven else wire.heartbeat_key(prefix, incarnation),
        )


def _move(
    keys: _Keys,
    held: dict[str, str],
    done: Recovered,
    fleet: str,
    max_deliveries: int,
    finished: Asks | None,
) -> Generator[list[Command], list[Any], None]:
    """Read some of the messages, and move them by one script."""
    death, prefix = done.death, keys.place.prefix
    (values,) = checked((yield [("HMGET", keys.unacked, *held)]))
    fates = {}
    for (tag, how), value in zip(held.items(), values):  # noqa: B905 strict is of 3.10
        message = _message(value, how)
        if message is not None:
            fates[tag] = fate_of(message, death, max_deliveries)
    over = yield from _over(prefix, fates, finished)
    moves: list[str | bytes] = []
    for tag, how in held.items():
        fate = fates.get(tag)
        if fate is None:
            moves += [tag, "gone", "", ""]
        elif tag in over:
            moves += [tag, "done", "", ""]
        elif fate.dead:
            letter = wire.Letter(
                id=fate.task_id,
                task=fate.task,
                at=death.at,
                source=_source(how),
                fleet=fleet,
                deaths=fate.deaths,
                message=fate.message,
            )
            moves += [tag, "dead", wire.dead_key(prefix, fleet), letter.to_bytes()]
        else:
            moves += [tag, "back", f"{prefix}{_source(how)}", fate.message]
    (moved,) = checked(
        (yield [script(MOVE, keys.unacked, keys.index, keys.held, keys.heartbeat, *moves)])
    )
    if moved == -1:
        done.lives = True
        return
    # What is not among them another has moved meanwhile.
    for tag in map(text, moved):
        fate = fates[tag]
        if tag in over:
            done.finished += 1
        else:
            done.dead += fate.dead
            done.returned += not fate.dead
            if not fate.held_only:
                done.running[fate.task or "unnamed"] += 1


def _wake(
    keys: _Keys, holder: wire.Holder, done: Recovered
) -> Generator[list[Command], list[Any], None]:
    """Have one of those who wait come, also where the dead one was the one who watched."""
    if not holder.waits:
        return
    prefix, said = keys.place.prefix, "1" if done.returned else ""
    names = wire.words_key(prefix, holder.waits), wire.watch_key(prefix, holder.waits)
    about = done.death.incarnation, words.LIE_MS, words.MOST, said
    # Where it is refused they look by themselves, a little later.
    yield [("EVAL", words.STEP_DOWN, len(names), *names, *about)]


def _over(
    prefix: str, fates: dict[str, Fate], finished: Asks | None
) -> Generator[list[Command], list[Any], set[str]]:
    """The tags of what needs no other run, because a result says so."""
    asked = {tag: fate for tag, fate in fates.items() if fate.task_id and fate.can_be_told}
    if finished is not None:
        return {tag for tag, fate in asked.items() if finished(fate.task_id, fate.published)}
    if not asked:
        return set()
    looks: list[Command] = []
    for fate in asked.values():
        key = f"{prefix}{_RESULT_KEY}{fate.task_id}"
        looks += [("GETRANGE", key, 0, len(_SUCCESS) - 1), ("GETRANGE", key, -_END, -1)]
    parts = yield looks
    over = set()
    for (tag, fate), start, end in zip(asked.items(), parts[::2], parts[1::2]):  # noqa: B905
        if start == _SUCCESS:
            dates = _DATE_DONE.findall(end) if isinstance(end, bytes) else []
            if is_later(dates[-1].decode("ascii", "replace") if dates else None, fate.published):
                over.add(tag)
    return over


def _message(value: Any, how: str) -> bytes | None:
    """The message within an ``unacked`` value; None where it is not there any more."""
    if not isinstance(value, bytes):
        return None
    tail = how.partition(":")[0]
    return value[1 : len(value) - int(tail)] if tail.isdigit() else None


def _source(how: str) -> str:
    return how.partition(":")[2]


def _by_size(tags: Sequence[str], sizes: Sequence[int]) -> Iterable[list[str]]:
    """Groups whose messages together are not too much for one reply, in order."""
    group: list[str] = []
    together = 0
    for tag, size in zip(tags, sizes):  # noqa: B905
        if group and together + size > _BATCH_BYTES:
            yield group
            group, together = [], 0
        group.append(tag)
        together += size
    if group:
        yield group


def script(source: str, *args: str | bytes) -> Command:
    """A call of a script that finds its keys among its arguments."""
    return ("EVAL", source, 0, *args)


def checked(replies: list[Any]) -> list[Any]:
    """These replies.

    Raises:
        RecoveryError: one of them is an error.
    """
    for reply in replies:
        if isinstance(reply, Exception):
            raise RecoveryError(str(reply)) from reply
    return replies


def pairs(raw: Any) -> Iterable[tuple[Any, Any]]:
    """A hash, as RESP3 or a client's callbacks give it, or as RESP2 does."""
    if isinstance(raw, dict):
        return raw.items()
    return zip(raw[::2], raw[1::2])  # noqa: B905


def text(raw: Any) -> str:
    """A name as it stands in the broker."""
    return raw.decode("utf-8", "surrogateescape") if isinstance(raw, bytes) else str(raw)
