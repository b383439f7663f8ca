-- ARGV: the key's hash.
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
return { text(now), value, record, call('LINDEX', base .. 'e' .. value, 0) }
