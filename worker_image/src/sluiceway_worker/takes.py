"""The scripts of the atomic take, and what each take leaves with its message.

A message that is taken goes in one step from its list into ``unacked``, its index and the
holdings of the taker (``wire.held_key``), under a tag that no other take ever has. So
whoever still finds that tag in ``unacked`` finds this very take: the tag is the receipt.
kombu's own ways with a tag, such as the visibility timeout, work as ever.

A message is never decoded here: a trip through Lua's cjson would change ``[]`` to ``{}``
and round floats. Its ``unacked`` value is put together of bytes, and taken apart by length.
"""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import redis
from kombu.utils.json import dumps

from sluiceway_worker import words


class Take(NamedTuple):
    """One take of one message; kept on kombu's message as ``message.sluiceway``."""

    order: int
    """Counts up over the life of the worker: the smaller, the longer it waits."""
    source: str
    """The list that it was taken from, without the application's key prefix."""
    tag: str
    tail: int
    """How many bytes of the ``unacked`` value follow the message."""


class Script:
    """A script, and the name under which a server that has seen it knows it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.sha = hashlib.sha1(source.encode()).hexdigest()


def run(client: redis.Redis, script: Script, keys: list[str], *args: Any) -> Any:
    """Run a script that the server may know already."""
    try:
        return client.evalsha(script.sha, len(keys), *keys, *args)
    except redis.exceptions.NoScriptError:
        return client.eval(script.source, len(keys), *keys, *args)


def tail_for(queue: str) -> bytes:
    """What follows the message in its ``unacked`` value.

    With the default exchange kombu brings it back to exactly the queue that it was taken
    from, however it was routed there.
    """
    return f", {dumps('')}, {dumps(queue)}]".encode()


def tag_of(incarnation: str, number: int) -> str:
    """The tag of one take. As text, the later of two is the greater."""
    return f"{incarnation}:{number:012d}"


TAKE = Script(
    """
local tag, now, me, holder = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local queues = tonumber(ARGV[9])

local known = redis.call('HGET', KEYS[4], me)
if known and known ~= holder
  and tonumber(string.match(known, '%d+$')) > tonumber(string.match(holder, '%d+$')) then
  return redis.error_reply('ERR this take was sent over an earlier connection')
end

local function refused(...)
  local answer = redis.pcall(...)
  if type(answer) == 'table' and answer.err then return answer end
end

local function tell_one_who_waits()
  if redis.call('LLEN', KEYS[5]) >= tonumber(ARGV[7]) then return end
  redis.call('LPUSH', KEYS[5], '')
  redis.call('PEXPIRE', KEYS[5], ARGV[6])
end

for i = 8, #KEYS do
  -- Mostly it is in the first or in none.
  if i == 9 and redis.call('EXISTS', unpack(KEYS, 9)) == 0 then break end
  local message = redis.call('RPOP', KEYS[i])
  if message and ARGV[10] ~= '' and string.find(message, ARGV[10], 1, true) then
    redis.call('RPUSH', KEYS[i], message)
    tell_one_who_waits()
    return {-2}
  end
  if message then
    local tail = ARGV[11 + (i - 8) % queues]
    local where = #tail .. ':' .. string.sub(KEYS[i], tonumber(ARGV[8]) + 1)
    local problem = known ~= holder and refused('HSET', KEYS[4], me, holder)
      or refused('HSET', KEYS[3], tag, where)
      or refused('ZADD', KEYS[2], now, tag)
      or refused('HSET', KEYS[1], tag, '[' .. message .. tail)
    if problem then
      redis.call('RPUSH', KEYS[i], message)
      redis.pcall('ZREM', KEYS[2], tag)
      redis.pcall('HDEL', KEYS[3], tag)
      return problem
    end
    if redis.call('GET', KEYS[6]) == me then
      redis.call('DEL', KEYS[6])
      tell_one_who_waits()
    elseif redis.call('EXISTS', unpack(KEYS, 8)) > 0 then
      tell_one_who_waits()
    end
    return {i - 8, message}
  end
end
local watcher = redis.call('GET', KEYS[6])
if watcher and watcher ~= me then return {-1, 0, redis.call('SCARD', KEYS[7])} end
if refused('SET', KEYS[6], me, 'PX', ARGV[5]) then
  return {-1, 0, redis.call('SCARD', KEYS[7])}
end
redis.call('DEL', KEYS[5])
return {-1, 1}
"""
)
"""Take the first message that kombu's ``BRPOP`` would take, or say how to wait for one.

KEYS: ``unacked``, ``unacked_index``, my holdings, the holders; the list of words for those
who wait, the watcher's lease, the set of workers; then the lists in kombu's order. ARGV: a
new tag; now (Unix seconds); my incarnation; what the holders are to know of me; for how long
a watch lasts, and how long a word lies ready (ms), and how many words; the length of the key
prefix; how many queues; what a message must not have in it, or ``''``; and the ``tail_for``
each of the queues, in the order of the lists.

What the holders know of me ends with the number of my connection, and ``SETTLE`` tells them
anew. A take that comes late, over an earlier one, is refused: nobody would hear the answer.

Where the message cannot be written down, it is back in its list and the error is returned.

Returns ``{list number from 0, message}``; ``{-1, 1}``: nothing there, and I am to watch;
``{-1, 0, workers}``: nothing, and another watches; ``{-2}``: the first one is not for me,
and stays where it is. A watcher that takes gives up its watch
and has one of those who wait come: at any time one of the idle watches, and one message
wakes one worker.
"""

STEP_DOWN = Script(words.STEP_DOWN)

ACKNOWLEDGE_TAKE = Script(
    """
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
return redis.call('HDEL', KEYS[1], ARGV[1])
"""
)
"""Acknowledge one take; nothing where it is not mine any more.

KEYS: ``unacked``, ``unacked_index``, my holdings. ARGV: the tag. Returns 1: it was mine.
"""

_BACK = """
-- A server without memory refuses a script by its first write. What only moves needs none.
redis.call('HDEL', KEYS[3], '')
local function back(list, tag, tail)
  local value = redis.call('HGET', KEYS[1], tag)
  if value then
    redis.call('RPUSH', list, string.sub(value, 2, -tail - 1))
    redis.call('HDEL', KEYS[1], tag)
    redis.call('ZREM', KEYS[2], tag)
  end
  redis.call('HDEL', KEYS[3], tag)
  return value and 1 or 0
end
"""

GIVE_BACK_TAKE = Script(
    _BACK
    + """
return back(KEYS[4], ARGV[1], tonumber(ARGV[2]))
"""
)
"""Move one message back to the head of the list that it was taken from; may be repeated.

KEYS: ``unacked``, ``unacked_index``, my holdings, that list. ARGV: the tag, its tail's
length. Returns 1: moved; 0: not mine any more.
"""

SETTLE = Script(
    _BACK
    + """
redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
local known = {}
for i = 5, #ARGV do known[ARGV[i]] = true end
local mine = redis.call('HKEYS', KEYS[3])
table.sort(mine)
local moved = 0
for i = #mine, 1, -1 do
  local tag = mine[i]
  if tag <= ARGV[2] and not known[tag] then
    local tail, source = string.match(redis.call('HGET', KEYS[3], tag), '^(%d+):(.*)$')
    moved = moved + back(ARGV[1] .. source, tag, tonumber(tail))
  end
end
return moved
"""
)
"""Give back what Redis has in my name and I do not know: the answer to its take was lost.

KEYS: ``unacked``, ``unacked_index``, my holdings, the holders. ARGV: the key prefix, the tag
of the last take that had its answer or never will, my incarnation, what the holders are to
know of me from now on, the tags that I know of. Returns how many went back,
the latest take first, so that their order is as it was.
"""

RENEW = Script(
    """
-- A server without memory refuses a script by its first write. This one needs none.
redis.call('ZREM', KEYS[1], '')
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', ARGV[1], ARGV[i]) end
return #ARGV - 1
"""
)
"""What I hold was taken just now, as far as the visibility timeout is concerned.

KEYS: ``unacked_index``. ARGV: now (Unix seconds), the tags. One that is not there stays away.
"""

GOODBYE = Script(
    """
for _, tag in ipairs(redis.call('HKEYS', KEYS[1])) do
  if redis.call('HEXISTS', KEYS[3], tag) == 0 then redis.call('HDEL', KEYS[1], tag) end
end
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
return redis.call('HDEL', KEYS[2], ARGV[1])
"""
)
"""Be no holder any more, unless something is held. What a visibility timeout took away is not.

KEYS: my holdings, the holders, ``unacked``. ARGV: my incarnation.
"""

PROBE = Script(
    """
local tag = ARGV[1]
redis.call('RPUSH', KEYS[4], tag)
redis.call('RPOP', KEYS[4])
redis.call('LPUSH', KEYS[5], tag)
redis.call('LLEN', KEYS[5])
redis.call('PEXPIRE', KEYS[5], 60000)
redis.call('DEL', KEYS[5])
redis.call('SET', KEYS[6], tag, 'PX', 60000)
redis.call('GET', KEYS[6])
redis.call('EXISTS', KEYS[6])
redis.call('DEL', KEYS[6])
redis.call('SCARD', KEYS[7])
redis.call('ZADD', KEYS[2], 'XX', 1, tag)
redis.call('ZREM', KEYS[2], tag)
redis.call('HGET', KEYS[1], tag)
redis.call('HSET', KEYS[3], tag, '')
redis.call('HKEYS', KEYS[3])
redis.call('HDEL', KEYS[3], tag)
redis.call('HDEL', KEYS[1], tag)
return redis.call('HDEL', KEYS[8], tag)
"""
)
"""Try whether all that the scripts do is allowed, and leave nothing behind.

KEYS: ``unacked``, ``unacked_index``, my holdings; a list, a list of words and a lease that
nobody uses; the set of workers; the holders. ARGV: a tag that nobody uses.
"""
