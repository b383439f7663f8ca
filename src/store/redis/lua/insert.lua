-- ARGV: whether there is no room; whether to write in any case; capacity; quarantine's capacity;
-- number of queues; their names; the queues and delays of all records; then the rest of each.
local full, always = ARGV[1] == '1', ARGV[2] == '1'
local capacity, most, count = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local queues = {}
for i = 1, count do
  local name = ARGV[5 + i]
  local number = tonumber(call('HGET', QUEUES, name) or '0')
  local q = { name = name, quarantine = sub(name, 1, 1) == 'q', fresh = 0, done = 0, waiting = {}, held = {}, dead = {} }
  if number == 0 then
    numbers = numbers + 1
    number = numbers
    q.unnamed = true
  end
  q.number = number
  q.w = base .. 'w' .. number
  -- What stands in front of every record that is new.
  q.head = pack(HEAD, q.quarantine and 'Q' or 'P', number, 0, 0, now, 0, 0, 0, NO_TOKEN, NO_TOKEN)
  -- Whether somebody waits for what becomes due.
  q.idle = #call('ZRANGEBYSCORE', q.w, '-inf', text(now), 'LIMIT', 0, 1) == 0
  check_queue(number)
  queues[i] = q
end

local buckets = base .. 'b'
local function bucket(k)
  return buckets .. sub(k, 1, 2)
end

-- The key with its length, of a record as it came.
local function key_of(b)
  return sub(b, 43, 46) .. sub(b, 51, 50 + read('>I4', b, 43))
end

local function look(value, b)
  if #value > 6 then
    local rank, digest = read('>I2c8', value, 35)
    return {
      compact = true, seq = sub(value, 1, 6), token = sub(value, 7, 12), id = sub(value, 19, 34),
      rank = rank, digest = digest, state = 'D', settled_by = NO_TOKEN, till = 0, at = 0,
    }
  end
  local length = read('>I4', b, 43)
  local found = call('GETRANGE', base .. 'p' .. value, 0, HEADER + length - 1)
  if found == '' then
    return false
  end
  local r = parse(found)
  r.seq, r.id, r.rank, r.digest = value, sub(found, 48, 63), read('>I2', found, 64), sub(found, 66, 73)
  r.key = sub(found, 90, 93) .. sub(found, 98)
  return r
end

local function differs(known, b)
  return known ~= sub(b, 19, 26) and 1 or 0
end

-- What is new, in lists and not in tables of their own, which are dear: the keys and values to write
-- at once; for each record the rest of it, its bucket with field and value, and its place among what
-- waits. In `known`, it is its number.
local news, strings, rests, fields, places = 0, {}, {}, {}, {}

local function add(q, b, delay)
  sequence = sequence + 1
  local seq, waiting = pack('>I6', sequence), q.waiting
  news = news + 1
  strings[news * 2 - 1] = base .. 'p' .. seq
  strings[news * 2] = q.head .. b
  rests[news] = b
  fields[news * 3 - 2] = buckets .. sub(b, 27, 28)
  fields[news * 3 - 1] = sub(b, 29, 42)
  fields[news * 3] = seq
  local place = #waiting + 1
  places[news] = place
  waiting[place] = time_text(after(delay))
  waiting[place + 1] = seq
  largest = math.max(largest, #q.head + #b)
  return news
end

-- The same key once more in one batch.
local function again(n, q, b, delay)
  local before = rests[n]
  if key_of(before) ~= key_of(b) then
    return false
  end
  local id, rank, digest = read('>c16I2c8', before)
  if id == sub(b, 1, 16) then
    return 'F'
  end
  if read('>I2', b, 17) <= rank then
    return pack('>c1c1BI2c16', 'D', 'P', differs(digest, b), rank, id)
  end
  rests[n] = b
  strings[n * 2] = q.head .. b
  q.waiting[places[n]] = time_text(after(delay))
  largest = math.max(largest, #q.head + #b)
  return 'U'
end

local known, touched, answers = {}, {}, {}
local marks, before = ARGV[6 + count], 6 + count
for i = 1, #ARGV - before do
  local index, delay = read('>I2I6', marks, i * 8 - 7)
  local b, q = ARGV[before + i], queues[index]
  if q.quarantine then
    delay = 0
  end
  local k = sub(b, 27, 42)
  local r = known[k]
  if r == nil then
    local value = call('HGET', buckets .. sub(b, 27, 28), sub(b, 29, 42))
    r = value and look(value, b)
  end
  local answer
  if not r then
    if full or q.quarantine and most <= 0 or not q.quarantine and live >= capacity then
      answer = 'X'
    else
      answer = 'F'
      r = add(q, b, delay)
      if q.quarantine then
        q.fresh = q.fresh + 1
      else
        live = live + 1
        q.wake = q.wake or delay == 0
      end
    end
  elseif type(r) == 'number' then
    answer = again(r, q, b, delay)
    q.wake = q.wake or answer == 'U' and delay == 0 and not q.quarantine
  elseif r.key and r.key ~= key_of(b) then
    answer = false
  elseif r.id == sub(b, 1, 16) then
    answer = 'F'
  else
    local rank = read('>I2', b, 17)
    if rank <= r.rank then
      local state = r.state
      if state == 'Q' or state == 'L' and r.till <= now then
        state = 'P'
      end
      answer = pack('>c1c1BI2c16', 'D', state, differs(r.digest, b), r.rank, r.id)
    else
      answer = 'U'
      if r.state == 'X' then
        q.dead[#q.dead + 1] = r.seq
      elseif r.state == 'D' then
        q.done = q.done + 1
      end
      if r.state == 'X' or r.state == 'D' then
        r.state = 'P'
        live = live + 1
      end
      r.queue, r.attempt, r.expiries, r.born, r.due = q.number, 0, 0, now, after(delay)
      r.next = r.state == 'L' and r.due or 0
      r.at = 0
      r.id, r.rank, r.digest, r.key = sub(b, 1, 16), rank, sub(b, 19, 26), key_of(b)
      r.b, r.k, r.q = b, k, q
      if not r.touched then
        r.touched = true
        touched[#touched + 1] = r
      end
      largest = math.max(largest, #q.head + #b)
    end
  end
  if not answer then
    return redis.error_reply('SAMEHASH two keys have the same hash')
  end
  known[k] = r
  answers[i] = answer
end

local reply = { table.concat(answers) }
if news == 0 and #touched == 0 then
  if always then
    write_meta()
  end
  return reply
end

-- How many a quarantine drops: a few more than came, so that a lowered limit is reached step by step.
for _, q in ipairs(queues) do
  q.excess = q.fresh > 0 and math.min(call('ZCARD', q.w) + q.fresh - most, q.fresh + 100) or 0
  for _, seq in ipairs(q.excess > 0 and call('ZRANGE', q.w, 0, q.excess - 1) or {}) do
    local k = call('GETRANGE', base .. 'p' .. seq, 73, 88)
    if k ~= '' then
      check_bucket(k)
    end
  end
end

-- From here on it is written.
for _, q in ipairs(queues) do
  if q.unnamed then
    call('HSET', QUEUES, q.name, q.number)
  end
  each('ZREM', base .. 'x' .. q.number, q.dead)
end
for first = 1, news * 2, 500 do
  call('MSET', unpack(strings, first, math.min(first + 499, news * 2)))
end
for i = 1, news * 3, 3 do
  call('HSET', fields[i], fields[i + 1], fields[i + 2])
end
for _, r in ipairs(touched) do
  call('SET', base .. 'p' .. r.seq, head(r) .. r.b)
  if r.compact then
    call('HSET', bucket(r.k), sub(r.k, 3), r.seq)
  end
  call('DEL', base .. 'e' .. r.seq)
  local due, waiting = r.due, r.q.waiting
  if r.state == 'L' then
    due, waiting = math.max(r.till, r.next), r.q.held
  elseif r.state ~= 'Q' and due <= now then
    r.q.wake = true
  end
  waiting[#waiting + 1] = time_text(due)
  waiting[#waiting + 1] = r.seq
end
for i, q in ipairs(queues) do
  each('ZADD', q.w, q.waiting)
  each('ZADD', base .. 'h' .. q.number, q.held)
  if q.done > 0 then
    call('HINCRBY', META, 'D' .. q.number, -q.done)
  end
  if q.excess > 0 then
    local oldest = call('ZPOPMIN', q.w, q.excess)
    for j = 1, #oldest, 2 do
      local k = call('GETRANGE', base .. 'p' .. oldest[j], 73, 88)
      if k ~= '' then
        call('HDEL', bucket(k), sub(k, 3))
      end
      call('UNLINK', base .. 'p' .. oldest[j], base .. 'e' .. oldest[j])
    end
    call('HINCRBY', META, 'd' .. q.number, #oldest / 2)
  end
end
if #touched > 0 then
  revision = revision + 1
end
write_meta('s', text(sequence), 'n', text(live), 'i', numbers, 'b', largest, 'r', text(revision))
for _, q in ipairs(queues) do
  -- May be forbidden: then whoever waits finds it by asking.
  if q.wake and q.idle then
    redis.pcall('PUBLISH', base .. 'c' .. q.name, '')
  end
end
return reply
