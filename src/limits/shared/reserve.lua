-- Reserves all that a request asks of its limits, or nothing.
--
-- KEYS: the sidecars alive, this one's reservations, its reservations that were given back for it; then
--   of each claim its count, the count of those beyond `most` subjects, and the index of its limit.
-- ARGV: sidecar, reservation, `force` to reserve whatever there is; then of each claim the subject's name,
--   the most subjects, for how many milliseconds a request may wait for it, how many gauges, the gauges.
-- Returns what became of it, the time, and of each claim whether it is counted with `other`, and its counts.
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then return {'stranger', now} end
local force = ARGV[3] == 'force'
if force and redis.call('HEXISTS', KEYS[2], ARGV[2]) == 1 then return {'known', now} end
local claims, refused, at, key = {}, false, 4, 4
while at <= #ARGV do
  local claim = {name = ARGV[at], wait = tonumber(ARGV[at + 2]), key = KEYS[key], index = KEYS[key + 2], other = '', gauges = {}}
  local most, many = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 3])
  local fields = {'n', 'w'}
  for i = 1, many do
    local g = gauge(ARGV[at + 3 + i])
    if not in_window(g) then return {'window', now} end
    claim.gauges[i], fields[i + 2] = g, g.field
  end
  local found = redis.call('HMGET', claim.key, unpack(fields))
  if not found[1] and redis.call('ZCARD', claim.index) >= most then
    redis.call('ZREMRANGEBYSCORE', claim.index, '-inf', now_ms)
    if redis.call('ZCARD', claim.index) >= most then
      claim.key, claim.name, claim.other = KEYS[key + 1], 'other', 'other'
      found = redis.call('HMGET', claim.key, unpack(fields))
    end
  end
  claim.known, claim.awaited = found[1], tonumber(found[2] or 0)
  for i, g in ipairs(claim.gauges) do
    g.count = count(found[i + 2], g)
    if less({0, 0}, g.amount) then
      -- It fits beside what is used and reserved:
      -- max(spent, floor) + reserved + amount <= floor + most.
      local taken = add(add(larger(g.count.spent, g.floor), g.count.reserved, g.base), g.amount, g.base)
      if less(add(g.floor, g.most, g.base), taken) then claim.short, refused = true, true end
    end
  end
  claims[#claims + 1] = claim
  at, key = at + 4 + many, key + 3
end
refused = refused and not force
local reply, record = {refused and 'short' or 'held', now}, {}
for _, claim in ipairs(claims) do
  reply[#reply + 1] = claim.other
  local write, expires = {'n', claim.name}, 0
  for _, g in ipairs(claim.gauges) do
    local c = g.count
    if not refused then
      if g.taken then
        -- A request counts from now on; what is given back of it is what has not drained by then.
        c.spent = add(larger(c.spent, g.floor), g.amount, g.base)
      else
        c.reserved = add(c.reserved, g.amount, g.base)
      end
      expires = math.max(expires, expiry(g, c))
      write[#write + 1], write[#write + 2] = g.field, text(c)
      record[#record + 1] = string.format('%s %s %.0f %.0f %.0f %s %.0f %.0f %.0f', claim.key, g.field, g.base,
        g.amount[1], g.amount[2], g.taken and 't' or 'h', c.start, c.spent[1], c.spent[2])
    end
    reply[#reply + 1] = text(c)
  end
  if not refused then
    redis.call('HSET', claim.key, unpack(write))
    redis.call('PEXPIREAT', claim.key, expires)
    redis.call('ZADD', claim.index, expires, string.sub(claim.key, -32))
  elseif claim.short and claim.known and claim.wait > 0 and claim.awaited < now_ms + claim.wait then
    redis.call('HSET', claim.key, 'w', string.format('%.0f', now_ms + claim.wait))
  end
end
if not refused then redis.call('HSET', KEYS[2], ARGV[2], table.concat(record, '\n')) end
return reply
