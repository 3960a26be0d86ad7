-- One page of kombu's `unacked`: who is in it, and where the new ones belong.
--
-- The hash is never read whole: 20,000 held retries of 20 kB would be 400 MB a
-- tick on a server with one thread. Its index is walked in pages by time of
-- delivery; a value is opened only for a tag that the asker does not know yet, and
-- not when it is large. Of the value [message, exchange, routing key] only the last
-- leaves the server, which is the queue's name where the exchange has none (as
-- Celery publishes to direct queues).
--
-- ARGV: index key, hash key, from which score, page size, largest value to open,
--       then the tags that are known
-- Reply: {{tag, score, ...}, {tag, queue, ...}}: the page, and of it the tags that
--       were not known and still have a value; queue is "" where it cannot be told.
--       Or "<key>\n<error>".

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
    local queue = ''
    if size > 0 and size <= largest then
      local value = redis.pcall('HGET', ARGV[2], tag)
      if type(value) == 'table' then return ARGV[2] .. '\n' .. value.err end
      -- The end of the value; a name with an escape in it cannot be told.
      local tail = string.sub(value, -1024)
      queue = string.match(tail, ',%s*"",%s*"([^"\\]*)"%s*%]$') or ''
    end
    if size > 0 then
      opened[#opened + 1] = tag
      opened[#opened + 1] = queue
    end
  end
end
return { page, opened }
