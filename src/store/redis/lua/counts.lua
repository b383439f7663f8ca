-- ARGV: the queue's name.
local number = call('HGET', QUEUES, ARGV[1])
if not number then
  return {}
end
local waiting, held = base .. 'w' .. number, base .. 'h' .. number
local leased = 0
for _, seq in ipairs(call('ZRANGEBYSCORE', held, '(' .. text(now), '+inf')) do
  -- What was replaced while it was leased may be due later than the lease ended.
  if parse(call('GETRANGE', base .. 'p' .. seq, 0, HEADER - 1)).till > now then
    leased = leased + 1
  end
end
local oldest = merge(number, function(key)
  return call('ZRANGEBYSCORE', key, '-inf', text(now), 'WITHSCORES', 'LIMIT', 0, 1)
end)[1]
local counters = call('HMGET', META, 'D' .. number, 'd' .. number)
return {
  call('ZCARD', waiting) + call('ZCARD', held) - leased, leased,
  math.max(tonumber(counters[1] or '0'), 0), call('ZCARD', base .. 'x' .. number),
  tonumber(counters[2] or '0'), oldest and now - oldest.score or -1,
}
