-- A sidecar says that it is alive, and gives back what those hold whose lease has lapsed.
--
-- KEYS: the sidecars alive, the ledger's epoch, the secret that all of them use.
-- ARGV: sidecar, its lease in milliseconds, an epoch and a secret where there is none (the latter may be
--   empty), what the keys of reservations begin with, the same of those given back, the channel.
-- Returns the time, the epoch, how many are alive, this one's place among them, and the secret.
local MOST = 500 -- reservations given back in one call: other scripts wait meanwhile
local freed = {}
local function give_back(record)
  for line in string.gmatch(record, '[^\n]+') do
    local h = held(line)
    local there = redis.call('HMGET', h.key, h.field, 'w')
    if there[1] and not h.taken then
      local c = count(there[1])
      c.reserved = sub(c.reserved, h.amount, h.base)
      redis.call('HSET', h.key, h.field, text(c))
      if tonumber(there[2] or 0) > now_ms then freed[#freed + 1] = string.sub(h.key, -32) end
    end
  end
end
local lapsed = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_ms, 'LIMIT', 0, 8)
for _, sidecar in ipairs(lapsed) do
  if sidecar ~= ARGV[1] then
    local from, to = ARGV[5] .. sidecar, ARGV[6] .. sidecar
    local some = redis.call('HSCAN', from, '0', 'COUNT', MOST)[2]
    for i = 1, #some, 2 do
      give_back(some[i + 1])
      redis.call('HDEL', from, some[i])
      redis.call('HSET', to, some[i], '')
    end
    redis.call('PEXPIRE', to, 86400000)
    if redis.call('EXISTS', from) == 0 then redis.call('ZREM', KEYS[1], sidecar) end
  end
end
publish(ARGV[7], freed)
redis.call('ZADD', KEYS[1], now_ms + tonumber(ARGV[2]), ARGV[1])
redis.call('SET', KEYS[2], ARGV[3], 'NX')
if ARGV[4] ~= '' then redis.call('SET', KEYS[3], ARGV[4], 'NX') end
local alive = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now_ms, '+inf')
table.sort(alive)
local place = 0
for i, sidecar in ipairs(alive) do
  if sidecar == ARGV[1] then place = i - 1 end
end
return {now, redis.call('GET', KEYS[2]), #alive, place, redis.call('GET', KEYS[3]) or ''}
