-- ARGV: whether there is no room; whether to write in any case; capacity; quarantine's capacity;
-- number of queues; their names; then for each record its queue and delay, and the rest of it.
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
  -- Whether somebody waits for what becomes due. Fails here, not midway, if the key is another's.
  q.idle = #call('ZRANGEBYSCORE', q.w, '-inf', text(now), 'LIMIT', 0, 1) == 0
  call('ZCARD', base .. 'x' .. number)
  call('ZCARD', base .. 'h' .. number)
  queues[i] = q
end

local function bucket(k)
  return base .. 'b' .. sub(k, 1, 2)
end

-- The key with its length, of the second argument of a record.
local function key_of(b)
  return sub(b, 43, 46) .. sub(b, 51, 50 + read('>I4', b, 43))
end

local function look(k, b)
  local value = call('HGET', bucket(k), sub(k, 3))
  if not value then
    return false
  end
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

local known, touched, answers = {}, {}, {}
for i = 6 + count, #ARGV, 2 do
  local index, delay = read('>I2I6', ARGV[i])
  local b, q = ARGV[i + 1], queues[index]
  local rank, k = read('>I2', b, 17), sub(b, 27, 42)
  local r = known[k]
  if r == nil then
    r = look(k, b)
  end
  if r and r.key and r.key ~= key_of(b) then
    return redis.error_reply('SAMEHASH two keys have the same hash')
  end
  local answer
  if not r then
    local room = not full and (q.quarantine and most > 0 or not q.quarantine and live < capacity)
    if room then
      sequence = sequence + 1
      r = {
        seq = pack('>I6', sequence), fresh = true, state = q.quarantine and 'Q' or 'P',
        token = NO_TOKEN, settled_by = NO_TOKEN, till = 0, at = 0,
      }
      if q.quarantine then
        q.fresh = q.fresh + 1
      else
        live = live + 1
      end
      answer = 'F'
    else
      answer = 'X'
    end
  elseif r.id == sub(b, 1, 16) then
    answer = 'F'
    b = nil
  elseif rank <= r.rank then
    local state = r.state
    if state == 'Q' or state == 'L' and r.till <= now then
      state = 'P'
    end
    local differs = r.digest ~= sub(b, 19, 26)
    answer = pack('>c1c1BI2c16', 'D', state, differs and 1 or 0, r.rank, r.id)
    b = nil
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
    r.upgraded = true
  end
  if r and b then
    r.queue, r.attempt, r.expiries, r.born, r.due = q.number, 0, 0, now, after(delay)
    r.next = r.state == 'L' and r.due or 0
    r.at = 0
    r.id, r.rank, r.digest, r.key = sub(b, 1, 16), rank, sub(b, 19, 26), key_of(b)
    r.b, r.k, r.q = b, k, q
    if not r.touched then
      r.touched = true
      touched[#touched + 1] = r
    end
  end
  known[k] = r
  answers[#answers + 1] = answer
end

local reply = { table.concat(answers) }
if #touched == 0 then
  if always then
    write_meta()
  end
  return reply
end

-- From here on it is written.
for _, q in ipairs(queues) do
  if q.unnamed then
    call('HSET', QUEUES, q.name, q.number)
  end
  each('ZREM', base .. 'x' .. q.number, q.dead)
end
for _, r in ipairs(touched) do
  call('SET', base .. 'p' .. r.seq, head(r) .. r.b)
  if r.fresh or r.compact then
    call('HSET', bucket(r.k), sub(r.k, 3), r.seq)
  end
  if r.upgraded then
    call('DEL', base .. 'e' .. r.seq)
  end
  local due, waiting = r.due, r.q.waiting
  if r.state == 'L' then
    due, waiting = math.max(r.till, r.next), r.q.held
  elseif r.state == 'Q' then
    due = now
  elseif due <= now then
    r.q.wake = true
  end
  waiting[#waiting + 1] = text(due)
  waiting[#waiting + 1] = r.seq
end
for i, q in ipairs(queues) do
  each('ZADD', q.w, q.waiting)
  each('ZADD', base .. 'h' .. q.number, q.held)
  if q.done > 0 then
    call('HINCRBY', META, 'D' .. q.number, -q.done)
  end
  if q.fresh > 0 then
    -- A few more, so that a lowered limit is reached step by step.
    local excess = math.min(call('ZCARD', q.w) - most, q.fresh + 100)
    if excess > 0 then
      local oldest = call('ZPOPMIN', q.w, excess)
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
end
write_meta('s', text(sequence), 'n', text(live), 'i', numbers)
for _, q in ipairs(queues) do
  -- May be forbidden: then whoever waits finds it by asking.
  if q.wake and q.idle then
    redis.pcall('PUBLISH', base .. 'c' .. q.name, '')
  end
end
return reply
