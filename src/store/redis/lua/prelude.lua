-- Shared by all scripts. KEYS[1] is the prefix of everything that the store has, with the hash tag
-- that puts all of it into one slot.
--
--   m           hash: v layout version, c clock, o its offset, s sequence, n live records,
--               i queues, b bytes of the largest record ever, r how often something may have gone
--               back in the order of a list, D<queue> done, d<queue> dropped, l<queue> and k<queue>
--               how many were taken from the front of those lists
--   q           hash: queue name -> number
--   b<2 bytes>  hash: rest of a key's hash -> sequence, or what is remembered of it
--   p<sequence> string: the record
--   e<sequence> list: its failed attempts, newest first
--   w<queue>    sorted set: what waits, by due time (in quarantine by arrival)
--   h<queue>    sorted set: what is leased, or was and nobody has settled it, by the time when it
--               can be leased again
--   l<queue>    list: what is done and has its body, in order of settlement
--   k<queue>    list: what is done and lost its body, in order of settlement
--   x<queue>    sorted set: what is dead, by settlement
local base = KEYS[1]
local call, sub, pack, read, floor = redis.call, string.sub, struct.pack, struct.unpack, math.floor
local META, QUEUES = base .. 'm', base .. 'q'
local LAYOUT = 1

-- What changes: state, queue, attempt, expiries, born, leased until, due after the lease, settled,
-- token, token of the last settlement. Then id, rank, digest; the key's hash; lengths of key and
-- meta; key, meta, body.
local HEAD = '>c1I2I4I4I6I6I6I6c6c6'
local HEADER = 97
-- The same; id, rank and digest in one; and the key's hash.
local HEAD_AND_HASH = HEAD .. 'c26c16'
local NO_TOKEN = '\0\0\0\0\0\0'
local MAX_TIME = 281474976710655

local meta = call('HMGET', META, 'v', 'c', 'o', 's', 'n', 'i', 'b', 'r')
if meta[1] and tonumber(meta[1]) ~= LAYOUT then
  return redis.error_reply('LAYOUT ' .. meta[1])
end
local clock, offset = tonumber(meta[2] or '0'), tonumber(meta[3] or '0')
local sequence, live, numbers = tonumber(meta[4] or '0'), tonumber(meta[5] or '0'), tonumber(meta[6] or '0')
local largest, revision = tonumber(meta[7] or '0'), tonumber(meta[8] or '0')

-- The server's clock, or what it would be had nobody turned it back.
local time = call('TIME')
local now = time[1] * 1000 + floor(time[2] / 1000) + offset
local turned = now < clock
if turned then
  offset = offset + clock - now
  now = clock
end

local function after(millis)
  return math.min(now + millis, MAX_TIME)
end

-- A number as text: the default format would round it.
local function text(number)
  return string.format('%.0f', number)
end

local function parse(bytes)
  local r = {}
  r.state, r.queue, r.attempt, r.expiries, r.born, r.till, r.next, r.at, r.token, r.settled_by =
    read(HEAD, bytes)
  return r
end

local function head(r)
  return pack(HEAD, r.state, r.queue, r.attempt, r.expiries, r.born, r.till, r.next, r.at, r.token, r.settled_by)
end

-- The same for times, of which many in a row are the same.
local last_time, last_text
local function time_text(time)
  if time ~= last_time then
    last_time, last_text = time, text(time)
  end
  return last_text
end

-- Calls with a list of arguments, some at a time. One call for many is cheaper than many calls by far.
local function each(command, key, args)
  local count = #args
  for first = 1, count, 500 do
    call(command, key, unpack(args, first, math.min(first + 499, count)))
  end
end

-- Fail here, not midway, if a key is another's: an error keeps what was written before it.
local function check_queue(number)
  for _, set in ipairs({ 'w', 'h', 'x' }) do
    call('ZCARD', base .. set .. number)
  end
  call('LLEN', base .. 'l' .. number)
  call('LLEN', base .. 'k' .. number)
end
local function check_bucket(k)
  call('HLEN', base .. 'b' .. sub(k, 1, 2))
end

-- Some entries of `w` and `h` behind a place, in order of due time and sequence, as a list of
-- sequence, score, whether it is in `h`.
local function merge(number, range)
  local all = {}
  for _, set in ipairs({ 'w', 'h' }) do
    local found = range(base .. set .. number)
    for i = 1, #found, 2 do
      all[#all + 1] = { seq = found[i], score = tonumber(found[i + 1]), order = read('>I6', found[i]), held = set == 'h' }
    end
  end
  table.sort(all, function(a, b)
    if a.score ~= b.score then
      return a.score < b.score
    end
    return a.order < b.order
  end)
  return all
end

-- Writes the clock, and more fields of `m`.
local function write_meta(...)
  if turned then
    call('HSET', META, 'o', text(offset))
  end
  call('HSET', META, 'v', LAYOUT, 'c', text(now), ...)
end
