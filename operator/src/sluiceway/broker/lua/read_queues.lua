-- Length and head of many queues, without moving a message.
--
-- A queue's head (index -1 of a list, the oldest) is looked at here, inside the
-- server, and only its id, publish stamp and ETA leave it: the body, which may be
-- megabytes, never does. It is walked over as text, for a message must not go
-- through cjson (it is costly, and numbers lose digits). Only the members of the
-- message's own `headers` count: text inside a string, such as the arguments'
-- representation, cannot be mistaken for a header.
--
-- Keys come as ARGV, not as KEYS: a user without permission on one declared key is
-- refused the whole script, on an undeclared one the command alone fails.
--
-- ARGV: name of the stamp header
--       s, the number of priority suffixes; then the s suffixes
--       unopened heads, as one character per queue and suffix: "1" leaves that head
--         unopened; or "" for none
--       the queues' base keys
-- Reply: for each queue, in the order asked
--       0                                             empty
--       {length, suffix, size, id, eta, stamp, ...}   five more for each suffix that is
--                                                     not empty; suffix from 0, size -1
--                                                     when unopened, "" for what is absent
--       "<key>\n<error>"                              one of its keys cannot be read

local byte, find, sub = string.byte, string.find, string.sub
local QUOTE, BACKSLASH = 34, 92

-- All three return the position of the last byte of the value that starts at i, or nil.
local function string_end(s, i)
  local from = i + 1
  while true do
    local q = find(s, '"', from, true)
    if not q then return nil end
    local b = q - 1
    while byte(s, b) == BACKSLASH do b = b - 1 end
    if (q - b) % 2 == 1 then return q end -- an even number of backslashes
    from = q + 1
  end
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

-- Calls visit(name, first, last) for each member of the object at i, until it says true.
local function each_member(s, i, visit)
  local at = i
  while true do
    local q = find(s, '[^%s,{]', at)
    if not q or byte(s, q) ~= QUOTE then return end
    local r = string_end(s, q)
    local first = r and find(s, '[^%s:]', r + 1)
    local last = first and value_end(s, first)
    if not last or visit(sub(s, q + 1, r - 1), first, last) then return end
    at = last + 1
  end
end

local stamp_header = ARGV[1]
local id, eta, stamp

local function text(s, first, last, longest)
  if byte(s, first) == QUOTE then first, last = first + 1, last - 1 end
  local value = sub(s, first, math.min(last, first + longest - 1))
  return value == 'null' and '' or value
end

local function look(s)
  id, eta, stamp = '', '', ''
  each_member(s, 1, function(name, first)
    if name ~= 'headers' then return false end
    each_member(s, first, function(header, from, to)
      if header == 'id' then id = text(s, from, to, 64)
      elseif header == 'eta' then eta = text(s, from, to, 40)
      elseif header == stamp_header then stamp = text(s, from, to, 32)
      end
      return id ~= '' and stamp ~= '' and eta ~= ''
    end)
    return true
  end)
  if id == '' then id = redis.sha1hex(sub(s, -512)) end
end

local suffixes = tonumber(ARGV[2])
local unopened = ARGV[3 + suffixes]
local first_queue = 4 + suffixes
local reply = {}

for q = first_queue, #ARGV do
  local found, total, problem = nil, 0, nil
  for n = 0, suffixes - 1 do
    local key = ARGV[q] .. ARGV[3 + n]
    local length = redis.pcall('LLEN', key)
    local head = nil
    if type(length) == 'number' and length > 0 then
      local place = (q - first_queue) * suffixes + n + 1
      if sub(unopened, place, place) == '1' then
        head = false
      else
        head = redis.pcall('LINDEX', key, -1)
      end
    end
    local refused = type(length) == 'table' and length or type(head) == 'table' and head
    if refused then
      problem = key .. '\n' .. refused.err
      break
    end
    if head ~= nil then
      found = found or { 0 }
      total = total + length
      local k = #found
      if head then
        look(head)
        found[k + 1], found[k + 2] = n, #head
        found[k + 3], found[k + 4], found[k + 5] = id, eta, stamp
      else
        found[k + 1], found[k + 2] = n, -1
        found[k + 3], found[k + 4], found[k + 5] = '', '', ''
      end
    end
  end
  if found then found[1] = total end
  reply[#reply + 1] = problem or found or 0
end

return reply
