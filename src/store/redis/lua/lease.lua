-- ARGV: the queue's name, how many, for how long, six random bytes for each, the most bytes.
local number = call('HGET', QUEUES, ARGV[1])
if not number or sub(ARGV[1], 1, 1) == 'q' then
  return {}
end
local due = merge(number, function(key)
  return call('ZRANGEBYSCORE', key, '-inf', text(now), 'WITHSCORES', 'LIMIT', 0, ARGV[2])
end)
if #due == 0 then
  return {}
end
local max = tonumber(ARGV[2])
local till, most, bytes = after(tonumber(ARGV[3])), tonumber(ARGV[5]), 0
local reply, leased, lost, scores, taken = { text(now) }, {}, {}, {}, {}
for _, entry in ipairs(due) do
  local seq = entry.seq
  if #leased == max then
    break
  end
  local record = call('GET', base .. 'p' .. seq)
  if record then
    local r = parse(record)
    -- What replaced the leased event is not suspected for it.
    if r.state == 'L' and r.next == 0 then
      r.expiries = r.expiries + 1
    end
    bytes = bytes + #record
    -- A suspect goes alone, when its turn comes.
    if #leased > 0 and (r.expiries > 0 or bytes > most) then
      break
    end
    if r.state == 'P' then
      r.settled_by = r.token
    end
    r.state, r.attempt, r.next, r.till = 'L', r.attempt + 1, 0, till
    r.token = sub(ARGV[4], #leased * 6 + 1, #leased * 6 + 6)
    r.seq, r.head = seq, head(r)
    leased[#leased + 1] = r
    if not entry.held then
      taken[#taken + 1] = seq
    end
    scores[#scores + 1] = text(till)
    scores[#scores + 1] = seq
    reply[#reply + 1] = seq
    reply[#reply + 1] = r.head
    reply[#reply + 1] = record
    if r.expiries > 0 then
      break
    end
  else
    lost[#lost + 1] = seq
  end
end
for _, r in ipairs(leased) do
  call('SETRANGE', base .. 'p' .. r.seq, 0, r.head)
end
each('ZREM', base .. 'w' .. number, taken)
each('ZADD', base .. 'h' .. number, scores)
for _, set in ipairs({ 'w', 'h' }) do
  each('ZREM', base .. set .. number, lost)
end
write_meta()
return reply
