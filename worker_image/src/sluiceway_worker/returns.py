"""The scripts that give back and acknowledge what was taken on kombu's own way, by ``BRPOP``.

What was taken by script has a tag of its own, and scripts of its own in ``takes``.
"""

from __future__ import annotations

_UNLESS_MINE = """
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
local mine = score and tonumber(score) >= tonumber(ARGV[2]) and tonumber(score) <= tonumber(ARGV[3])
if not mine then return 0 end
"""
# A delivery tag survives redelivery, so it may be somebody else's by now. kombu writes its
# clock as the score in unacked_index, and we noted ours just before and just after; two
# takes of one tag lie at least a visibility timeout apart. A fixed tolerance is not the
# same: a process that was held up for longer would disown its own message.

GIVE_BACK = (
    _UNLESS_MINE
    + """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not held then return 0 end
local body, tail = ARGV[5], ARGV[4]
if body == '' then
  if held:sub(1, 1) ~= '[' or held:sub(-#tail) ~= tail then return -1 end
  body = held:sub(2, -#tail - 1)
end
redis.call('RPUSH', KEYS[3], body)
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
"""
)
"""Move one held message back to the head of the list that it was taken from.

KEYS: ``unacked``, ``unacked_index``, the source list. ARGV: delivery tag; our clock just
before and just after the take (Unix seconds); the end of the ``unacked`` value after
the message, ``, "<exchange>", "<routing key>"]``; the message itself or ``''``.

The message is cut out of the ``unacked`` value byte for byte, never decoded: a
trip through Lua's cjson would change ``[]`` to ``{}`` and round floats. Where the score
says that somebody else took the message since (the visibility timeout passed), it is left
alone, so the script may be repeated when its answer was lost.

Returns 1: moved; 0: not ours any more; -1: a value of unknown form, call again
with the message in ARGV[5].
"""

ACKNOWLEDGE = (
    _UNLESS_MINE
    + """
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
"""
)
"""Acknowledge one held message, unless somebody else has it by now; may be repeated.

KEYS: ``unacked``, ``unacked_index``. ARGV: delivery tag; our clock just before and just
after the take.
"""

PUSH_BACK_ONCE = """
if not redis.call('SET', KEYS[1], '', 'NX', 'PX', ARGV[5]) then return 0 end
local pushed = redis.pcall('RPUSH', KEYS[4], ARGV[4])
if type(pushed) == 'table' and pushed.err then
  redis.call('DEL', KEYS[1])
  return pushed
end
local score = ARGV[1] ~= '' and redis.call('ZSCORE', KEYS[3], ARGV[1])
if score and tonumber(score) >= tonumber(ARGV[2]) and tonumber(score) <= tonumber(ARGV[3]) then
  redis.call('HDEL', KEYS[2], ARGV[1])
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return 1
"""
"""Push a message back that a worker has in memory, once however often it is asked.

A bare ``RPUSH`` whose answer was lost is sent again, and then the message is in its
list twice. KEYS: a mark of this one push (``pushed_key``), ``unacked``,
``unacked_index``, the source list. ARGV: delivery tag; our clock just before and just
after the attempt to write it into ``unacked``, which may have succeeded, or three empty
values where there was none; the message; how long the mark lives (ms).
"""

PUSHED_TTL_MS = 86_400_000
"""Such a mark outlives any broker trouble during which the push is still tried."""
