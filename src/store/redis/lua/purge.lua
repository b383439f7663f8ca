-- ARGV: the ages of bodies, keys, dead letters and quarantine; the most records of each kind.
local bodies, keys = now - tonumber(ARGV[1]), now - tonumber(ARGV[2])
local dead, quarantine = now - tonumber(ARGV[3]), now - tonumber(ARGV[4])
local step = tonumber(ARGV[5])
local left = { l = step, k = step, z = step }
local work, records = {}, 0

local names = call('HGETALL', QUEUES)
for i = 1, #names, 2 do
  local number = names[i + 1]
  check_queue(number)
  local q = { number = number, log = 0, keys = 0, compact = {}, forget = {}, gone = {}, gone_keys = {}, remembered = {}, set = 'x' }
  work[#work + 1] = q

  -- In order of settlement. What lives again, or was settled again later, is only passed over.
  for _, entry in ipairs(left.l > 0 and call('LRANGE', base .. 'l' .. number, 0, left.l - 1) or {}) do
    local seq, token = sub(entry, 1, 6), sub(entry, 7, 12)
    local bytes = call('GETRANGE', base .. 'p' .. seq, 0, HEADER - 1)
    local r = bytes ~= '' and parse(bytes)
    if r and r.state == 'D' and r.token == token then
      if r.at > bodies and r.at > keys then
        break
      end
      local item = { seq = seq, k = sub(bytes, 74, 89) }
      check_bucket(item.k)
      if r.at <= keys then
        q.forget[#q.forget + 1] = item
      else
        item.value = seq .. token .. pack('>I6', r.at) .. sub(bytes, 48, 73)
        q.compact[#q.compact + 1] = item
      end
    end
    q.log = q.log + 1
  end
  left.l = left.l - q.log

  for _, entry in ipairs(left.k > 0 and call('LRANGE', base .. 'k' .. number, 0, left.k - 1) or {}) do
    local k = sub(entry, 1, 16)
    local value = call('HGET', base .. 'b' .. sub(k, 1, 2), sub(k, 3))
    if value and #value > 6 and sub(value, 7, 8) == sub(entry, 17, 18) then
      if read('>I6', value, 13) > keys then
        break
      end
      q.remembered[#q.remembered + 1] = k
    end
    q.keys = q.keys + 1
  end
  left.k = left.k - q.keys

  local cut = dead
  if sub(names[i], 1, 1) == 'q' then
    q.set, cut = 'w', quarantine
  end
  if left.z > 0 then
    q.gone = call('ZRANGEBYSCORE', base .. q.set .. number, '-inf', text(cut), 'LIMIT', 0, left.z)
    left.z = left.z - #q.gone
  end
  for _, seq in ipairs(q.gone) do
    local k = call('GETRANGE', base .. 'p' .. seq, 73, 88)
    if k ~= '' then
      check_bucket(k)
      q.gone_keys[#q.gone_keys + 1] = k
    end
  end
end

local function forget(k)
  call('HDEL', base .. 'b' .. sub(k, 1, 2), sub(k, 3))
end
local wrote = false
for _, q in ipairs(work) do
  for _, item in ipairs(q.compact) do
    call('HSET', base .. 'b' .. sub(item.k, 1, 2), sub(item.k, 3), item.value)
    call('RPUSH', base .. 'k' .. q.number, item.k .. sub(item.value, 7, 8))
    call('UNLINK', base .. 'p' .. item.seq, base .. 'e' .. item.seq)
  end
  for _, item in ipairs(q.forget) do
    forget(item.k)
    call('UNLINK', base .. 'p' .. item.seq, base .. 'e' .. item.seq)
  end
  for _, k in ipairs(q.remembered) do
    forget(k)
  end
  for _, k in ipairs(q.gone_keys) do
    forget(k)
  end
  for _, seq in ipairs(q.gone) do
    call('UNLINK', base .. 'p' .. seq, base .. 'e' .. seq)
  end
  each('ZREM', base .. q.set .. q.number, q.gone)
  if q.log > 0 then
    call('LTRIM', base .. 'l' .. q.number, q.log, -1)
    call('HINCRBY', META, 'l' .. q.number, q.log)
  end
  if q.keys > 0 then
    call('LTRIM', base .. 'k' .. q.number, q.keys, -1)
    call('HINCRBY', META, 'k' .. q.number, q.keys)
  end
  local forgotten = #q.forget + #q.remembered
  if forgotten > 0 then
    call('HINCRBY', META, 'D' .. q.number, -forgotten)
  end
  records = records + #q.compact + forgotten + #q.gone
  wrote = wrote or q.log > 0 or q.keys > 0 or #q.gone > 0
end
if wrote then
  write_meta()
end
return { records, (left.l == 0 or left.k == 0 or left.z == 0) and 1 or 0 }
