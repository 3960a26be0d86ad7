-- All heartbeats of one application, with how long each still lives.
--
-- ARGV: the key of the set of incarnations; what stands before an incarnation in
--       the key of its heartbeat
-- Reply: {incarnation, milliseconds to live, payload, ...}; -2 and "" where the
--       heartbeat is gone. Or "<key>\n<error>".

local members = redis.pcall('SMEMBERS', ARGV[1])
if members.err then return ARGV[1] .. '\n' .. members.err end
local reply = {}
for i = 1, #members do
  local key = ARGV[2] .. members[i]
  local payload = redis.pcall('GET', key)
  if type(payload) == 'table' then return key .. '\n' .. payload.err end
  local left = payload and redis.pcall('PTTL', key) or -2
  if type(left) == 'table' then return key .. '\n' .. left.err end
  local k = #reply
  reply[k + 1], reply[k + 2], reply[k + 3] = members[i], left, payload or ''
end
return reply
