-- ARGV: the queue's name.
local number = call('HGET', QUEUES, ARGV[1])
if not number then
  return {}
end
local waiting, held = base .. 'w' .. number, base .. 'h' .. number
-- Also the few that were replaced by something that is due later than their lease ends.
local leased = call('ZCOUNT', held, '(' .. text(now), '+inf')
local oldest = merge(number, function(key)
  return call('ZRANGEBYSCORE', key, '-inf', text(now), 'WITHSCORES', 'LIMIT', 0, 1)
end)[1]
local counters = call('HMGET', META, 'D' .. number, 'd' .. number)
return {
  call('ZCARD', waiting) + call('ZCARD', held) - leased, leased,
  math.max(tonumber(counters[1] or '0'), 0), call('ZCARD', base .. 'x' .. number),
  tonumber(counters[2] or '0'), oldest and now - oldest.score or -1,
}
