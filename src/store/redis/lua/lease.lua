-- ARGV: the queue's name, how many, for how long, six random bytes for each, the most bytes.
local number = call('HGET', QUEUES, ARGV[1])
if not number or sub(ARGV[1], 1, 1) == 'q' then
  return {}
end
local waiting, leases = base .. 'w' .. number, base .. 'h' .. number
local due, held = nil, {}
if #call('ZRANGEBYSCORE', leases, '-inf', text(now), 'LIMIT', 0, 1) == 0 then
  -- No lease has ended, as a rule: what waits is in order as it is.
  due = call('ZRANGEBYSCORE', waiting, '-inf', text(now), 'LIMIT', 0, ARGV[2])
else
  due = {}
  local merged = merge(number, function(key)
    return call('ZRANGEBYSCORE', key, '-inf', text(now), 'WITHSCORES', 'LIMIT', 0, ARGV[2])
  end)
  for i, entry in ipairs(merged) do
    due[i] = entry.seq
    held[entry.seq] = entry.held
  end
end
if #due == 0 then
  return {}
end
local max = tonumber(ARGV[2])
local till, most, bytes = after(tonumber(ARGV[3])), tonumber(ARGV[5]), 0
-- As many as may be read at once.
local step = math.max(1, math.min(64, floor(most / math.max(largest, 1))))
local till_text = text(till)
local reply, count, lost, scores, taken = { text(now) }, 0, {}, {}, {}
local records, first, keys = {}, 1, {}
for i, seq in ipairs(due) do
  if count == max then
    break
  end
  if i == first + #records then
    first = i
    keys = {}
    for j = i, math.min(i + step - 1, #due) do
      keys[#keys + 1] = base .. 'p' .. due[j]
    end
    records = call('MGET', unpack(keys))
  end
  local record = records[i - first + 1]
  if record then
    local state, queue, attempt, expiries, born, _, next, at, token, settled_by = read(HEAD, record)
    -- What replaced the leased event is not suspected for it.
    if state == 'L' and next == 0 then
      expiries = expiries + 1
    end
    bytes = bytes + #record
    -- A suspect goes alone, when its turn comes.
    if count > 0 and (expiries > 0 or bytes > most) then
      break
    end
    if state == 'P' then
      settled_by = token
    end
    reply[count * 3 + 2] = seq
    reply[count * 3 + 3] = pack(HEAD, 'L', queue, attempt + 1, expiries, born, till, 0, at,
      sub(ARGV[4], count * 6 + 1, count * 6 + 6), settled_by)
    reply[count * 3 + 4] = record
    count = count + 1
    if not held[seq] then
      taken[#taken + 1] = seq
    end
    scores[count * 2 - 1] = till_text
    scores[count * 2] = seq
    if expiries > 0 then
      break
    end
  else
    lost[#lost + 1] = seq
  end
end
for i = 2, #reply, 3 do
  call('SETRANGE', base .. 'p' .. reply[i], 0, reply[i + 1])
end
each('ZREM', waiting, taken)
each('ZADD', leases, scores)
for _, set in ipairs({ waiting, leases }) do
  each('ZREM', set, lost)
end
write_meta()
return reply
