-- The parked messages of one application: how many each list has, and when they are due.
--
-- ARGV: the key that tells which lists have some; what stands before a list in the key of
--       its parked messages; how many lists at most, those due first; how many ETAs of each
-- Reply: for each list {list, number, its first ETAs...}; {} where nothing is parked; or
--        "<key>\n<error>"

local lists = redis.pcall('ZRANGE', ARGV[1], 0, tonumber(ARGV[3]) - 1)
if lists.err then return ARGV[1] .. '\n' .. lists.err end
local reply = {}
for i = 1, #lists do
  local key = ARGV[2] .. lists[i]
  local number = redis.pcall('ZCARD', key)
  if type(number) == 'table' then return key .. '\n' .. number.err end
  local first = redis.pcall('ZRANGE', key, 0, tonumber(ARGV[4]) - 1, 'WITHSCORES')
  if first.err then return key .. '\n' .. first.err end
  local one = { lists[i], number }
  for n = 2, #first, 2 do one[#one + 1] = first[n] end
  reply[i] = one
end
return reply
