-- ARGV: the key's hash. All that there is.
local value = call('HGET', base .. 'b' .. sub(ARGV[1], 1, 2), sub(ARGV[1], 3))
if not value then
  return {}
end
if #value > 6 then
  return { text(now), value }
end
local record = call('GET', base .. 'p' .. value)
if not record then
  return {}
end
local r = parse(record)
local score = call('ZSCORE', base .. (r.state == 'L' and 'h' or 'w') .. r.queue, value)
return { text(now), value, record, score or '', unpack(call('LRANGE', base .. 'e' .. value, 0, -1)) }
