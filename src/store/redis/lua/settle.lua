-- ARGV: of all settlements the token, action and duration; then the text of each that says why.
local found, changed, answers, checked = {}, {}, {}, {}

local function check(queue)
  check_queue(queue)
  checked[queue] = { held = {}, waiting = {}, free = {}, dead = {}, done = {} }
end

local function look(seq)
  local bytes = call('GETRANGE', base .. 'p' .. seq, 0, HEADER - 1)
  if bytes == '' then
    return false
  end
  local state, queue, attempt, expiries, born, till, next, at, token, settled_by, _, k =
    read(HEAD_AND_HASH, bytes)
  if not checked[queue] then
    check(queue)
  end
  -- With all that it may ever have: a table that grows is dear.
  return {
    state = state, queue = queue, attempt = attempt, expiries = expiries, born = born, till = till,
    next = next, at = at, token = token, settled_by = settled_by, k = k, seq = seq,
    due = false, changed = false, forgotten = false, failure = false,
  }
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

local settlements, text_of = ARGV[1], 1
for i = 1, #settlements / 23 do
  local seq, place, token, action, millis = read('>c6c4c6c1I6', settlements, i * 23 - 22)
  local reason
  if action == 'R' or action == 'X' then
    text_of = text_of + 1
    reason = ARGV[text_of]
  end
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
    if reason and r.next == 0 then
      call('LLEN', base .. 'e' .. seq)
      r.failure = pack('>I6I4', now, r.attempt) .. reason
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
      check_bucket(r.k)
      r.forgotten = true
    else
      wait(r, after(millis))
      if action == 'B' then
        r.attempt = math.max(r.attempt - 1, 0)
      end
    end
    if r.state ~= 'L' then
      r.next = 0
    end
  end
  answers[i] = answer
end

if #changed == 0 then
  return table.concat(answers)
end

local ends = 0
for _, r in ipairs(changed) do
  local state, seq, lists = r.state, r.seq, checked[r.queue]
  if r.failure then
    local failures = base .. 'e' .. seq
    call('LPUSH', failures, r.failure)
    call('LTRIM', failures, 0, 15)
  end
  if r.forgotten then
    call('HDEL', base .. 'b' .. sub(r.k, 1, 2), sub(r.k, 3))
    call('UNLINK', base .. 'p' .. seq, base .. 'e' .. seq)
  else
    call('SETRANGE', base .. 'p' .. seq, 0, head(r))
  end
  local list
  if state == 'L' and not r.forgotten then
    list = lists.held
    list[#list + 1] = time_text(r.due)
    list[#list + 1] = seq
  else
    list = lists.free
    list[#list + 1] = seq
    if state == 'P' then
      list = lists.waiting
      list[#list + 1] = time_text(r.due)
      list[#list + 1] = seq
    else
      ends = ends + 1
    end
  end
  if state == 'D' then
    list = lists.done
    list[#list + 1] = seq .. r.token
  elseif state == 'X' then
    list = lists.dead
    list[#list + 1] = time_text(now)
    list[#list + 1] = seq
  end
end
for queue, lists in pairs(checked) do
  each('ZADD', base .. 'h' .. queue, lists.held)
  each('ZREM', base .. 'h' .. queue, lists.free)
  each('ZADD', base .. 'w' .. queue, lists.waiting)
  each('ZADD', base .. 'x' .. queue, lists.dead)
  each('RPUSH', base .. 'l' .. queue, lists.done)
  if #lists.done > 0 then
    call('HINCRBY', META, 'D' .. queue, #lists.done)
  end
  if #lists.waiting > 0 then
    revision = revision + 1
  end
end
write_meta('n', text(math.max(live - ends, 0)), 'r', text(revision))
return table.concat(answers)
