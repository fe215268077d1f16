-- Asks for the lease of a probe: free only once the rest of the breaker is over.
-- KEYS: the breaker's word, the lease. ARGV: sidecar, milliseconds of the lease, how long words linger.
-- Whether it is the sidecar's now; the breaker's word and what is left of its life; what is left of the lease.
local word = redis.pcall('GET', KEYS[1])
if type(word) ~= 'string' then word = '' end
local left = redis.call('PTTL', KEYS[1])
local mine = 0
if left <= tonumber(ARGV[3]) then
  if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
    mine = 1
  elseif redis.pcall('GET', KEYS[2]) == ARGV[1] then
    mine = redis.call('PEXPIRE', KEYS[2], ARGV[2])
  end
end
return {mine, word, left, redis.call('PTTL', KEYS[2])}
