-- Forgets what was used of some counts, and what was told of them; what is reserved stays.
--
-- KEYS: the counts. ARGV: the channel of what becomes free. Returns how many there were.
local freed, many = {}, 0
for _, key in ipairs(KEYS) do
  local all = redis.call('HGETALL', key)
  if #all > 0 then many = many + 1 end
  for i = 1, #all, 2 do
    local field = all[i]
    if string.sub(field, 1, 2) == 't:' then
      redis.call('HDEL', key, field)
    elseif field ~= 'n' and field ~= 'w' then
      local c = count(all[i + 1])
      c.spent = {0, 0}
      redis.call('HSET', key, field, text(c))
      freed[#freed + 1] = string.sub(key, -32)
    end
  end
end
publish(ARGV[1], freed)
return many
