-- ARGV: the queue's name, which part, a place in it (time and number), how many.
-- Tells the time, whether that was all, how often something has gone back, and for each record its place and what there is of it.
local number = call('HGET', QUEUES, ARGV[1])
if not number then
  return { text(now), 1, text(revision) }
end
local part, at, place, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local reply = { text(now), 1, text(revision) }

local function tell(time, place_of_it, seq, bytes)
  local length = read('>I4', bytes, 90)
  reply[#reply + 1] = text(time)
  reply[#reply + 1] = text(place_of_it)
  reply[#reply + 1] = seq
  reply[#reply + 1] = bytes .. call('GETRANGE', base .. 'p' .. seq, HEADER, HEADER + length - 1)
  reply[#reply + 1] = call('LINDEX', base .. 'e' .. seq, 0)
end

local function nothing(time, place_of_it)
  reply[#reply + 1] = text(time)
  reply[#reply + 1] = text(place_of_it)
  for _ = 1, 3 do
    reply[#reply + 1] = ''
  end
end

-- How many entries of a sorted set are not behind the place.
local function rank(key)
  local low, high = call('ZCOUNT', key, '-inf', '(' .. text(at)), call('ZCOUNT', key, '-inf', text(at))
  while low < high do
    local middle = floor((low + high) / 2)
    if read('>I6', call('ZRANGE', key, middle, middle)[1]) <= place then
      low = middle + 1
    else
      high = middle
    end
  end
  return low
end

if part == 'a' then
  local alive = merge(number, function(key)
    local first = rank(key)
    return call('ZRANGE', key, first, first + most - 1, 'WITHSCORES')
  end)
  for i = 1, math.min(#alive, most) do
    local entry = alive[i]
    local bytes = call('GETRANGE', base .. 'p' .. entry.seq, 0, HEADER - 1)
    if bytes == '' then
      nothing(entry.score, entry.order)
    else
      tell(entry.score, entry.order, entry.seq, bytes)
    end
  end
  if #alive >= most then
    reply[2] = 0
  end
elseif part == 'x' then
  -- Backwards: what is before the place.
  local key = base .. 'x' .. number
  local after = rank(key)
  local exact = after > 0 and call('ZRANGE', key, after - 1, after - 1, 'WITHSCORES')
  if exact and tonumber(exact[2]) == at and read('>I6', exact[1]) == place then
    after = after - 1
  end
  if after > 0 then
    local first = math.max(after - most, 0)
    local found = call('ZRANGE', key, first, after - 1, 'WITHSCORES')
    for i = #found - 1, 1, -2 do
      local seq, score = found[i], tonumber(found[i + 1])
      local bytes = call('GETRANGE', base .. 'p' .. seq, 0, HEADER - 1)
      if bytes == '' then
        nothing(score, read('>I6', seq))
      else
        tell(score, read('>I6', seq), seq, bytes)
      end
    end
    if first > 0 then
      reply[2] = 0
    end
  end
else
  -- A list: places are counted from its first entry ever.
  local key = base .. part .. number
  local gone = tonumber(call('HGET', META, part .. number) or '0')
  local last = math.min(call('LLEN', key), math.max(place - gone, 0)) - 1
  local first = math.max(last - most + 1, 0)
  if last >= 0 then
    local found = call('LRANGE', key, first, last)
    for i = #found, 1, -1 do
      local here = gone + first + i - 1
      local entry = found[i]
      if part == 'l' then
        local seq = sub(entry, 1, 6)
        local bytes = call('GETRANGE', base .. 'p' .. seq, 0, HEADER - 1)
        local r = bytes ~= '' and parse(bytes)
        if r and r.state == 'D' and r.token == sub(entry, 7, 12) then
          tell(r.at, here, seq, bytes)
        else
          nothing(0, here)
        end
      else
        local k = sub(entry, 1, 16)
        local value = call('HGET', base .. 'b' .. sub(k, 1, 2), sub(k, 3))
        if value and #value > 6 and sub(value, 7, 8) == sub(entry, 17, 18) then
          reply[#reply + 1] = text(read('>I6', value, 13))
          reply[#reply + 1] = text(here)
          reply[#reply + 1] = k
          reply[#reply + 1] = value
          reply[#reply + 1] = ''
        else
          nothing(0, here)
        end
      end
    end
  end
  if first > 0 then
    reply[2] = 0
  end
end
return reply
