"""The names of workers that are gone, and what is left under them: nothing stays for ever.

A worker that is killed leaves its name in the set of workers, among the holders, and its
holdings. Whoever looks after its fleet brings back what it held, and takes its name away.
Nobody does for one that was run by hand, or whose TaskQueue was deleted meanwhile: there
the visibility timeout brings back what it held, and its tags are left in the holdings. They
stand for takes that are over, so any worker that starts and any operator may take them away.

Nothing here does I/O: see ``recovery``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sluiceway_worker import wire
from sluiceway_worker.recovery import checked, pairs, script, text

if TYPE_CHECKING:
    from collections.abc import Collection, Generator

    from sluiceway_worker.recovery import Command, Place

_NAMES = 200
_BATCH = 20
"""So many are forgotten at most, and by one script: whoever comes next does the rest."""

TIDY = """
local gone = 0
for i = 6, #ARGV do
  local name = ARGV[i]
  if redis.call('EXISTS', ARGV[5] .. name) == 0 then
    local held = ARGV[4] .. name
    local tags = redis.call('HGETALL', held)
    for t = 1, #tags, 2 do
      if redis.call('HEXISTS', ARGV[3], tags[t]) == 0 then redis.call('HDEL', held, tags[t]) end
    end
    local out = redis.call('SREM', ARGV[1], name)
    if redis.call('EXISTS', held) == 0 then out = out + redis.call('HDEL', ARGV[2], name) end
    if out > 0 then gone = gone + 1 end
  end
end
return gone
"""
"""Forget those who are not heard, as far as nothing is held in their names.

ARGV: the set of workers, the hash of holders, ``unacked``; what stands before a name in the
key of its holdings, and of its heartbeat; the names. Returns how many were forgotten.
"""


def tidying(
    place: Place, *, spare: Collection[str] = ()
) -> Generator[list[Command], list[Any], int]:
    """Take away what is left of workers whom nobody looks after.

    Args:
        spare: fleets (``namespace/name``) that are looked after. So are those for which
            somebody stands by.

    Yields:
        As ``recovery``; returns how many names are gone.

    Raises:
        RecoveryError: the broker refused.
    """
    prefix = place.prefix
    workers, holders = wire.workers_key(prefix), wire.holders_key(prefix)
    known, raw = checked((yield [("SMEMBERS", workers), ("HGETALL", holders)]))
    fleets = dict.fromkeys(map(text, known), "")
    fleets.update((text(one), wire.Holder.from_text(how).fleet) for one, how in pairs(raw))
    names = [name for name, fleet in fleets.items() if fleet not in spare]
    if not names:
        return 0
    looks: list[Command] = [("EXISTS", wire.heartbeat_key(prefix, name)) for name in names]
    looks += [("EXISTS", wire.parking_key(prefix, fleets[name])) for name in names]
    there = checked((yield looks))
    nobodys = [
        name
        for name, heard, stood_by in zip(names, there, there[len(names) :])  # noqa: B905 3.10
        if not heard and not stood_by
    ][:_NAMES]
    keys = (
        *(workers, holders, f"{prefix}{place.unacked}"),
        *(wire.held_key(prefix, ""), wire.heartbeat_key(prefix, "")),
    )
    gone = 0
    for start in range(0, len(nobodys), _BATCH):
        gone += sum(checked((yield [script(TIDY, *keys, *nobodys[start : start + _BATCH])])))
    return gone
