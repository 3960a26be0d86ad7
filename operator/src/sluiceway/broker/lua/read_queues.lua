-- Length and oldest waiting message of many queues, without moving a message.
--
-- A key's messages are looked at here, inside the server, from the oldest on (index
-- -1), and only id, publish stamp and ETA leave it: the body, which may be megabytes,
-- never does. A message for later (its ETA is to come) does not wait, and what stands
-- behind it may: so the look goes on to the first that is not for later, over so
-- many messages and bytes.
--
-- A message is walked over as text, for it must not go through cjson (that is costly,
-- and numbers lose digits). Only the members of the message's own `headers` count:
-- text inside a string, such as the arguments' representation, cannot be mistaken
-- for a header.
--
-- Keys come as ARGV, not as KEYS: a user without permission on one declared key is
-- refused the whole script, on an undeclared one the command alone fails.
--
-- ARGV: name of the stamp header
--       how many messages of a key to look at, and how many bytes together
--       s, the number of priority suffixes; then the s suffixes
--       keys to leave alone, as one character per queue and suffix: "1" counts that
--         key and looks at none of its messages; or "" for none
--       the queues' base keys
-- Reply: for each queue, in the order asked
--       0                          empty
--       {length, fields...}        seven for each key that is not empty:
--           suffix                 its number, from 0
--           size                   bytes looked at; -1 when left alone
--           id, eta, stamp         of the first message that is not for later, ETA in
--                                  Unix seconds; "" for what is absent or was not found
--           hidden                 when none was found: how many were not looked at
--           later                  the ETAs of those before it, separated by ","
--       "<key>\n<error>"           one of its keys cannot be read

local byte, find, match, sub = string.byte, string.find, string.match, string.sub
local floor = math.floor
local QUOTE, BACKSLASH = 34, 92

-- Where the value that starts at i ends: the position of its last byte, or nil.
local function string_end(s, i)
  local q = find(s, '"', i + 1, true)
  while q and byte(s, q - 1) == BACKSLASH do
    local b = q - 2
    while byte(s, b) == BACKSLASH do b = b - 1 end
    if (q - b) % 2 == 1 then return q end -- an even number of backslashes
    q = find(s, '"', q + 1, true)
  end
  return q
end

local function nested_end(s, i)
  local depth, p = 0, i
  while p do
    local c = byte(s, p)
    if c == QUOTE then
      p = string_end(s, p)
      if not p then return nil end
    elseif c == 123 or c == 91 then -- { [
      depth = depth + 1
    else
      depth = depth - 1
      if depth == 0 then return p end
    end
    p = find(s, '["{}%[%]]', p + 1)
  end
  return nil
end

local function value_end(s, i)
  local c = byte(s, i)
  if c == QUOTE then return string_end(s, i) end
  if c == 123 or c == 91 then return nested_end(s, i) end
  local behind = find(s, '[%s,}%]]', i)
  return behind and behind - 1
end

-- The member of an object that follows position i (at first the object's own "{"):
-- its name, and where its value starts. Nil when there is none.
local function next_member(s, i)
  local _, colon, name = find(s, '^[%s,{]*"([^"\\]*)"%s*:%s*', i)
  if colon then return name, colon + 1 end
  -- The end, or a name with an escape in it.
  local q = find(s, '[^%s,{]', i)
  local r = q and byte(s, q) == QUOTE and string_end(s, q)
  if not r then return nil end
  _, colon = find(s, '^%s*:%s*', r + 1)
  if colon then return sub(s, q + 1, r - 1), colon + 1 end
end

-- Unix seconds of an ISO 8601 time, or nil. Without a zone it is UTC, as Celery reads
-- it. Days are counted as in Howard Hinnant's days_from_civil.
local function instant(s)
  local y, m, d, hours, minutes, seconds, zone =
    match(s, '^(%d%d%d%d)%-(%d%d)%-(%d%d)[T ](%d%d):(%d%d):(%d%d%.?%d*)(.*)$')
  if not y then return nil end
  y, m = tonumber(y), tonumber(m)
  if m <= 2 then y, m = y - 1, m + 12 end
  local days = 365 * y + floor(y / 4) - floor(y / 100) + floor(y / 400)
    + floor((153 * (m - 3) + 2) / 5) + tonumber(d) - 1 - 719468
  local at = days * 86400 + hours * 3600 + minutes * 60 + tonumber(seconds)
  local sign, east_hours, east_minutes = match(zone, '^([+-])(%d%d):?(%d%d)')
  if sign then
    local east = east_hours * 3600 + east_minutes * 60
    at = sign == '+' and at - east or at + east
  end
  return at
end

local stamp_header = ARGV[1]
local quoted_stamp = '"' .. stamp_header .. '"'

-- The position of the message's headers, or nil.
local function headers_of(s)
  local at = 0
  while at do
    local name, first = next_member(s, at + 1)
    if name == 'headers' then return first end
    at = name and value_end(s, first)
  end
end

-- id, ETA in Unix seconds or nil, stamp
local function look(s)
  local id, eta, stamp = '', nil, ''
  local headers = headers_of(s)
  local missing, at = 3, headers and headers - 1
  if headers then
    -- To walk over a member takes about 1 µs. Celery writes id and ETA among the first
    -- five, and the stamp, added at publishing, comes last before the properties: where
    -- it is seen there, or nowhere, the walk may end early.
    local p = find(s, quoted_stamp, headers, true)
    if p then stamp = match(s, '^"[^"]*": ([%d.]+)}, "properties": {', p) or '' end
    if stamp ~= '' or not p then missing = 2 end
  end
  while at and missing > 0 do
    local name, first = next_member(s, at + 1)
    at = name and value_end(s, first)
    if at and (name == 'id' or name == 'eta' or name == stamp_header) then
      missing = missing - 1
      local value = match(sub(s, first, math.min(at, first + 63)), '^"?([^"]*)')
      if name == 'id' then id = value
      elseif name == 'eta' then eta = instant(value)
      else stamp = value
      end
    end
  end
  if id == '' then id = redis.sha1hex(sub(s, -512)) end
  return id, eta, stamp
end

local most, most_bytes = tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.pcall('TIME')
-- Without permission to ask the time nothing is known to be for later.
local now = time.err and math.huge or time[1] + time[2] / 1000000

-- The fields of one key that is not empty, or the error of its first command.
local function look_at_key(key, length)
  local later, bytes = {}, 0
  for n = 1, math.min(length, most) do
    local message = redis.pcall('LINDEX', key, -n)
    if type(message) == 'table' then return nil, message end
    bytes = bytes + #message
    local id, eta, stamp = look(message)
    if not eta or eta <= now then
      return { bytes, id, eta and string.format('%.6f', eta) or '', stamp, 0,
        table.concat(later, ',') }
    end
    later[n] = string.format('%.6f', eta)
    if bytes > most_bytes then break end
  end
  return { bytes, '', '', '', length - #later, table.concat(later, ',') }
end

local suffixes = tonumber(ARGV[4])
local alone = ARGV[5 + suffixes]
local first_queue = 6 + suffixes
local reply = {}

for q = first_queue, #ARGV do
  local found, total, problem = nil, 0, nil
  for n = 0, suffixes - 1 do
    local key = ARGV[q] .. ARGV[5 + n]
    local length = redis.pcall('LLEN', key)
    local fields, refused
    if type(length) == 'table' then
      refused = length
    elseif length > 0 then
      local place = (q - first_queue) * suffixes + n + 1
      if sub(alone, place, place) == '1' then
        fields = { -1, '', '', '', 0, '' }
      else
        fields, refused = look_at_key(key, length)
      end
    end
    if refused then
      problem = key .. '\n' .. refused.err
      break
    end
    if fields then
      found = found or { 0 }
      total = total + length
      found[#found + 1] = n
      for f = 1, 6 do found[#found + 1] = fields[f] end
    end
  end
  if found then found[1] = total end
  reply[#reply + 1] = problem or found or 0
end

return reply
