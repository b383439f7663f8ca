-- ARGV: the queue's name; R to requeue or D to delete; then for each record its id and its key's hash.
local name, order = ARGV[1], ARGV[2]
local number = tonumber(call('HGET', QUEUES, name) or '0')
local known, changed, answers = {}, {}, {}

local function look(k)
  local value = call('HGET', base .. 'b' .. sub(k, 1, 2), sub(k, 3))
  if not value then
    return false
  end
  if #value > 6 then
    return { k = k, seq = sub(value, 1, 6), id = sub(value, 19, 34), state = 'D', compact = true, was = 'D' }
  end
  local bytes = call('GETRANGE', base .. 'p' .. value, 0, HEADER - 1)
  if bytes == '' then
    return false
  end
  local r = parse(bytes)
  r.k, r.seq, r.id, r.was = k, value, sub(bytes, 48, 63), r.state
  return r.queue == number and r
end

for i = 3, #ARGV, 2 do
  local id, k = ARGV[i], ARGV[i + 1]
  local r = known[k]
  if r == nil then
    r = look(k)
    known[k] = r
  end
  local answer = 'A'
  if not r or r.id ~= id or r.deleted then
    answer = 'U'
  elseif r.state == 'L' and r.till > now then
    answer = 'L'
  elseif order == 'D' then
    r.deleted = true
  elseif r.compact then
    answer = 'G'
  elseif r.state ~= 'D' and r.state ~= 'X' then
    answer = 'P'
  else
    r.state, r.attempt, r.expiries, r.born, r.till, r.next, r.at = 'P', 0, 0, now, 0, 0, 0
    -- What was settled before is stale from now on.
    r.token, r.settled_by = NO_TOKEN, NO_TOKEN
  end
  if answer == 'A' and not r.changed then
    r.changed = true
    changed[#changed + 1] = r
  end
  answers[#answers + 1] = answer
end
if #changed == 0 then
  return table.concat(answers)
end
check_queue(number)

local free, dead, waiting, done = {}, {}, {}, 0
for _, r in ipairs(changed) do
  local was_alive = r.was == 'P' or r.was == 'L'
  if r.was == 'D' then
    done = done + 1
  elseif r.was == 'X' then
    dead[#dead + 1] = r.seq
  else
    free[#free + 1] = r.seq
  end
  if r.deleted then
    call('HDEL', base .. 'b' .. sub(r.k, 1, 2), sub(r.k, 3))
    call('UNLINK', base .. 'p' .. r.seq, base .. 'e' .. r.seq)
    live = live - (was_alive and 1 or 0)
  else
    call('SETRANGE', base .. 'p' .. r.seq, 0, head(r))
    waiting[#waiting + 1] = text(now)
    waiting[#waiting + 1] = r.seq
    live = live + 1
  end
end
each('ZREM', base .. 'w' .. number, free)
each('ZREM', base .. 'h' .. number, free)
each('ZREM', base .. 'x' .. number, dead)
each('ZADD', base .. 'w' .. number, waiting)
if done > 0 then
  call('HINCRBY', META, 'D' .. number, -done)
end
if #waiting > 0 then
  revision = revision + 1
end
write_meta('n', text(math.max(live, 0)), 'r', text(revision))
if #waiting > 0 then
  redis.pcall('PUBLISH', base .. 'c' .. name, '')
end
return table.concat(answers)
