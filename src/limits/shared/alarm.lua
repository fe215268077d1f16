-- Takes it upon one sidecar to tell something of a budget, once in a window.
--
-- KEYS: the count. ARGV: the field of what was told, the window's start, what is to be told now.
-- Returns whether nobody has told it.
local told = redis.call('HGET', KEYS[1], ARGV[1]) or ''
local start, causes = string.match(told, '^(%S+)(.*)$')
if start ~= ARGV[2] then causes = '' end
if string.find(causes .. ' ', ' ' .. ARGV[3] .. ' ', 1, true) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. causes .. ' ' .. ARGV[3])
return 1
