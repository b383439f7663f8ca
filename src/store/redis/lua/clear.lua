-- One step of removing a whole store: its keys are known by how they begin.
local found = call('SCAN', ARGV[1], 'MATCH', KEYS[1] .. '*', 'COUNT', 1000)
for _, key in ipairs(found[2]) do
  call('UNLINK', key)
end
return found[1]
