"""The scripts that park a message with a far ETA, and that bring it back in time.

A parked message is in one place as ever: its bytes in a hash, its ETA in a sorted set, one
of each for the list that it was taken from, and without expiry. A third key tells which
lists have some and when the first of each is due, so that nobody has to search. Every move
is one script: whoever asks, however often, a message is moved once or not at all.

Nothing here does I/O, and nothing is imported but the names of the keys: the operator
shares it.
"""

from __future__ import annotations

from sluiceway_worker import wire

PARKED, NOT_MINE, STAYS = 1, 0, 2
"""What ``PARK`` answers."""

BATCH = 100
"""So many messages one call brings back at most: a script holds up the whole server."""

PARK = """
local tag, until_ = ARGV[1], ARGV[6]
if redis.call('EXISTS', KEYS[7]) == 0 then return 2 end
if ARGV[2] ~= '' then
  local score = redis.call('ZSCORE', KEYS[2], tag)
  local mine = score and tonumber(score) >= tonumber(ARGV[2])
    and tonumber(score) <= tonumber(ARGV[3])
  if not mine then return 0 end
end
local value = redis.call('HGET', KEYS[1], tag)
if not value then return 0 end
local length, tail = tonumber(ARGV[4]), ARGV[5]
if string.sub(value, 1, 1) ~= '[' or (tail ~= '' and string.sub(value, -length) ~= tail) then
  return 2
end
local function refused(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then return answer end
end
local problem = refused('HSET', KEYS[5], tag, string.sub(value, 2, -length - 1))
  or refused('ZADD', KEYS[4], until_, tag)
if not problem then
  local first = redis.call('ZRANGE', KEYS[4], 0, 0, 'WITHSCORES')
  problem = refused('ZADD', KEYS[6], first[2], ARGV[7])
end
if problem then
  redis.pcall('ZREM', KEYS[4], tag)
  redis.pcall('HDEL', KEYS[5], tag)
  return problem
end
redis.call('HDEL', KEYS[1], tag)
redis.call('ZREM', KEYS[2], tag)
redis.call('HDEL', KEYS[3], tag)
return 1
"""
"""Move one held message to the parked ones, while somebody stands by to bring it back.

KEYS: ``unacked``, ``unacked_index``, the taker's holdings; the parked ETAs and messages of
the source list, the lists that have some; ``wire.parking_key``. ARGV: delivery tag; our
clock just before and just after the take, or ``''`` twice where the tag is of this take
alone; how many bytes of the ``unacked`` value follow the message, and which they must be or
``''``; the ETA (Unix seconds); the source list without the prefix.

The message is cut out of the ``unacked`` value byte for byte, never decoded, and nothing
marks it as redelivered.

Returns 1: parked; 0: not mine any more; 2: it stays where it is, because nobody stands by
or the value is of unknown form.
"""

_BACK = """
-- A server without memory refuses a script by its first write. What only moves needs none.
redis.call('ZREM', KEYS[1], '')
-- Nothing is begun that may not be ended: a user's rights may be cut short.
redis.call('ZADD', KEYS[4], 'XX', 0, '')
local function back(name, eta)
  local message = redis.call('HGET', KEYS[2], name)
  redis.call('ZREM', KEYS[1], name)
  if message then
    local pushed = redis.pcall('RPUSH', KEYS[3], message)
    if type(pushed) == 'table' and pushed.err then
      redis.call('ZADD', KEYS[1], eta, name)
      return pushed
    end
    redis.call('HDEL', KEYS[2], name)
  end
end
local function register(source)
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if first[1] then
    redis.call('ZADD', KEYS[4], first[2], source)
  else
    redis.call('ZREM', KEYS[4], source)
  end
end
"""

RELEASE = (
    _BACK
    + """
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = #due - 1, 1, -2 do
  local problem = back(due[i], due[i + 1])
  if problem then return problem end
end
register(ARGV[3])
return #due / 2
"""
)
"""Move what is due to the head of the list that it was taken from, the earliest foremost.

KEYS: the parked ETAs and messages of the source list, that list, the lists that have some.
ARGV: until which ETA (Unix seconds, or ``+inf``); how many at most; the source list without
the prefix. Returns how many went back.
"""

RELEASE_ONE = (
    _BACK
    + """
local eta = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not eta then return 0 end
local problem = back(ARGV[1], eta)
if problem then return problem end
register(ARGV[2])
return 1
"""
)
"""The same for one message, due or not. KEYS: as ``RELEASE``. ARGV: its name in the park,
the source list without the prefix. Returns 1: it went back; 0: it is not there."""


DROP_ONE = (
    _BACK
    + """
local there = redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
register(ARGV[2])
return there
"""
)
"""Forget one message for good. KEYS, ARGV: as ``RELEASE_ONE``. Returns 1: it is gone; 0: it
was not there."""


def keys_of(prefix: str, source: str) -> list[str]:
    """The keys of ``RELEASE`` for one source list."""
    return [
        wire.parked_key(prefix, source),
        wire.parked_bodies_key(prefix, source),
        f"{prefix}{source}",
        wire.parked_lists_key(prefix),
    ]
