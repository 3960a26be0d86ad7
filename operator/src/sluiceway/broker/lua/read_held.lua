-- One page of kombu's `unacked`: who is in it, and where the new ones belong.
--
-- The hash is never read whole: 20,000 held retries of 20 kB would be 400 MB a
-- tick on a server with one thread. Its index is walked in pages by time of
-- delivery; a value is opened only for a tag that the asker does not know yet, and
-- not when it is large. Of the value [message, exchange, routing key] only the two
-- last leave the server.
--
-- ARGV: index key, hash key, from which score, page size, largest value to open,
--       then the tags that are known
-- Reply: {{tag, score, ...}, {tag, exchange, routing key, ...}}: the page, and of it
--       the tags that were not known; "" and "" where a value stays unopened or is
--       gone. Or "<key>\n<error>".

local page = redis.pcall('ZRANGEBYSCORE', ARGV[1], ARGV[3], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[4])
if page.err then return ARGV[1] .. '\n' .. page.err end
local largest = tonumber(ARGV[5])
local known = {}
for i = 6, #ARGV do known[ARGV[i]] = true end

local opened = {}
for i = 1, #page, 2 do
  local tag = page[i]
  if not known[tag] then
    local size = redis.pcall('HSTRLEN', ARGV[2], tag)
    if type(size) == 'table' then return ARGV[2] .. '\n' .. size.err end
    local exchange, routing_key
    if size <= largest then
      local value = redis.pcall('HGET', ARGV[2], tag)
      if type(value) == 'table' then return ARGV[2] .. '\n' .. value.err end
      if value then
        -- Its last bytes; a name with an escape in it stays unopened.
        exchange, routing_key =
          string.match(string.sub(value, -2048), ',%s*"([^"\\]*)",%s*"([^"\\]*)"%s*%]$')
      end
    end
    local k = #opened
    opened[k + 1], opened[k + 2], opened[k + 3] = tag, exchange or '', routing_key or ''
  end
end
return { page, opened }
