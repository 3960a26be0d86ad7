-- Sets, renews and withdraws drain leases, unless a later leader has spoken already.
--
-- A leader that was frozen or cut off may have one command on its way when another one
-- leads: a late recall would free a worker whose place has just been taken away.
--
-- ARGV: the key of the latest epoch; for how long it counts (ms); the epoch of the asker;
--       the asker's name; how long a lease lives (ms); what stands before an incarnation
--       in the key of its lease; how many are held; those incarnations; those withdrawn
-- Reply: 1, or 0 where a later leader has spoken

local latest = tonumber(redis.call('GET', ARGV[1]) or '0')
if latest > tonumber(ARGV[3]) then
  return 0
end
-- A server without memory refuses a script by its first write. This one needs none.
redis.call('DEL', ARGV[6])
redis.call('SET', ARGV[1], ARGV[3], 'PX', ARGV[2])
local held = tonumber(ARGV[7])
for i = 8, #ARGV do
  local key = ARGV[6] .. ARGV[i]
  if i < 8 + held then
    redis.call('SET', key, ARGV[4], 'PX', ARGV[5])
  else
    redis.call('DEL', key)
  end
end
return 1
