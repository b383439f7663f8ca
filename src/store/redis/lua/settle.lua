-- ARGV: for each settlement its token, action and duration, and its text.
local found, changed, answers = {}, {}, {}

local function look(seq)
  local bytes = call('GETRANGE', base .. 'p' .. seq, 0, HEADER - 1)
  if bytes == '' then
    return false
  end
  local r = parse(bytes)
  r.seq, r.k = seq, sub(bytes, 74, 89)
  -- Fails here, not midway, if a key is another's.
  call('ZCARD', base .. 'w' .. r.queue)
  call('ZCARD', base .. 'h' .. r.queue)
  call('ZCARD', base .. 'x' .. r.queue)
  call('LLEN', base .. 'l' .. r.queue)
  return r
end

-- Of a record whose body is gone: whether this token was the last, and whether anything is known.
local function remembered(seq, place, token)
  local entries = call('HGETALL', base .. 'b' .. sub(place, 1, 2))
  for i = 1, #entries, 2 do
    if sub(entries[i], 1, 2) == sub(place, 3, 4) and sub(entries[i + 1], 1, 6) == seq then
      return sub(entries[i + 1], 7, 12) == token, true
    end
  end
  return false, false
end

local function wait(r, due)
  r.state, r.due = 'P', due
end

for i = 1, #ARGV, 2 do
  local seq, place, token, action, millis = read('>c6c4c6c1I6', ARGV[i])
  local r = found[seq]
  if r == nil then
    r = look(seq)
    found[seq] = r
  end
  local answer = 'S'
  if not r then
    local last, known = remembered(seq, place, token)
    -- There is nothing to extend; a key that is free was disowned, or is as if it was.
    if action ~= 'E' and last or action == 'O' and not known then
      answer = 'A'
    end
  elseif r.token ~= token or r.forgotten then
    if r.forgotten and r.token == token and action ~= 'E' then
      answer = 'A'
    end
  elseif r.state ~= 'L' then
    if action ~= 'E' then
      answer = 'A'
    end
  else
    answer = 'A'
    if not r.changed then
      r.changed = true
      changed[#changed + 1] = r
    end
    if action == 'E' then
      r.till = math.max(after(millis), now + 1)
      r.due = math.max(r.till, r.next)
    elseif r.next > 0 then
      -- What replaced the leased event is due now, whatever became of the lease.
      wait(r, math.max(r.next, now))
      r.attempt = 0
    elseif action == 'D' or action == 'X' then
      r.state, r.at = action, now
    elseif action == 'O' then
      r.forgotten = true
    else
      wait(r, after(millis))
      if action == 'B' then
        r.attempt = math.max(r.attempt - 1, 0)
      end
    end
    if (action == 'R' or action == 'X') and r.next == 0 then
      r.failure = pack('>I6I4', now, r.attempt) .. ARGV[i + 1]
    end
    if r.state ~= 'L' then
      r.next = 0
    end
  end
  answers[#answers + 1] = answer
end

if #changed == 0 then
  return table.concat(answers)
end

local held, waiting, free, dead, done, ends = {}, {}, {}, {}, {}, 0
local function add(lists, queue, ...)
  local list = lists[queue] or {}
  lists[queue] = list
  for _, value in ipairs({ ... }) do
    list[#list + 1] = value
  end
end
for _, r in ipairs(changed) do
  local failures = base .. 'e' .. r.seq
  if r.failure then
    call('LPUSH', failures, r.failure)
    call('LTRIM', failures, 0, 15)
  end
  if r.forgotten then
    call('HDEL', base .. 'b' .. sub(r.k, 1, 2), sub(r.k, 3))
    call('UNLINK', base .. 'p' .. r.seq, failures)
  else
    call('SETRANGE', base .. 'p' .. r.seq, 0, head(r))
  end
  if r.state == 'D' then
    add(done, r.queue, r.seq .. r.token)
  elseif r.state == 'X' then
    add(dead, r.queue, text(now), r.seq)
  end
  if r.state == 'L' and not r.forgotten then
    add(held, r.queue, text(r.due), r.seq)
  else
    add(free, r.queue, r.seq)
    if r.state == 'P' then
      add(waiting, r.queue, text(r.due), r.seq)
    else
      ends = ends + 1
    end
  end
end
for queue, list in pairs(held) do
  each('ZADD', base .. 'h' .. queue, list)
end
for queue, list in pairs(free) do
  each('ZREM', base .. 'h' .. queue, list)
end
for queue, list in pairs(waiting) do
  each('ZADD', base .. 'w' .. queue, list)
end
for queue, list in pairs(dead) do
  each('ZADD', base .. 'x' .. queue, list)
end
for queue, list in pairs(done) do
  each('RPUSH', base .. 'l' .. queue, list)
  call('HINCRBY', META, 'D' .. queue, #list)
end
write_meta('n', text(math.max(live - ends, 0)))
return table.concat(answers)
