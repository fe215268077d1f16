-- Words and what is left of their lives, in milliseconds; an empty one where there is none.
local found = {}
for at, key in ipairs(KEYS) do
  local word = redis.pcall('GET', key)
  if type(word) ~= 'string' then word = '' end
  found[at] = {word, redis.call('PTTL', key)}
end
return found
