"""The word that wakes one of the idle workers who sleep at the server (see ``waiting``).

Said by the workers themselves, and by whoever brings back what a dead one held: that one may
have watched for the others, who would sleep on for a second or two.
"""

from __future__ import annotations

LIE_MS = 60_000
"""So long a word lies ready."""

MOST = 2
"""At most so many words lie ready for those who wait."""

STEP_DOWN = """
local mine = redis.call('GET', KEYS[2]) == ARGV[1]
if mine then redis.call('DEL', KEYS[2]) end
if (mine or ARGV[4] ~= '') and redis.call('LLEN', KEYS[1]) < tonumber(ARGV[3]) then
  redis.call('RPUSH', KEYS[1], '')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
"""
"""An incarnation watches no more, or passes a word on: have another come.

KEYS: the words, the watcher's lease. ARGV: the incarnation; ``LIE_MS``; ``MOST``; whether a
word is said though it does not watch (``''``: no).
"""
