-- Gives back what reservations hold and counts what was used, each reservation exactly once.
--
-- KEYS: the ledger's epoch, this sidecar's reservations, those that were given back for it, those settled
--   without having been reserved here; then each count and the index of its limit.
-- ARGV: the channel of what becomes free; then of each reservation its id, the epoch it was made in, how many
--   gauges, and for each the place of its count in KEYS, the gauge, its amount what was used, and after a tab
--   the subject's name.
-- Returns what became of it, the time, and the counts, of every gauge in turn.
local epoch = redis.call('GET', KEYS[1])
local all, at = {}, 2
while at <= #ARGV do
  local one = {id = ARGV[at], epoch = ARGV[at + 1], gauges = {}}
  local many = tonumber(ARGV[at + 2])
  for i = 1, many do
    local place, line, name = string.match(ARGV[at + 2 + i], '^(%d+) ([^\t]+)\t(.*)$')
    local g = gauge(line)
    if not in_window(g) then return {'window', now} end
    g.key, g.index, g.name = KEYS[tonumber(place)], KEYS[place + 1], name
    one.gauges[i] = g
  end
  all[#all + 1] = one
  at = at + 3 + many
end
local counts = {}
local function of(g)
  local name = g.key .. ' ' .. g.field
  counts[name] = counts[name] or count(redis.call('HGET', g.key, g.field), g)
  return counts[name]
end
local function spend(c, g)
  if g.kind ~= 'now' and less({0, 0}, g.amount) then c.spent = add(larger(c.spent, g.floor), g.amount, g.base) end
end
for _, one in ipairs(all) do
  local record = redis.call('HGET', KEYS[2], one.id)
  local parts, lapsed = {}, false
  if record then
    redis.call('HDEL', KEYS[2], one.id)
    for line in string.gmatch(record, '[^\n]+') do
      local h = held(line)
      parts[h.key .. ' ' .. h.field] = h
    end
  elseif redis.call('HDEL', KEYS[3], one.id) == 1 then
    -- Given back when this sidecar's lease had lapsed: what was used counts all the same.
    lapsed = true
  elseif one.epoch == epoch or redis.call('HSETNX', KEYS[4], one.id, '') == 0 then
    -- It was settled before, and only the answer was lost.
    one.done = true
  else
    redis.call('PEXPIRE', KEYS[4], 86400000)
  end
  for _, g in ipairs(one.gauges) do
    local c, h = of(g), parts[g.key .. ' ' .. g.field]
    if h then h.seen = true end
    if h and h.taken then
      -- Of a request that was not made: as much as has not drained since, and of the same window.
      local most = sub(h.after, g.floor, g.base)
      local back = smaller(sub(h.amount, g.amount, g.base), most)
      if h.start == c.start then c.spent = sub(c.spent, back, g.base) end
    elseif h then
      c.reserved = sub(c.reserved, h.amount, g.base)
      spend(c, g)
    elseif not one.done and not (lapsed and g.taken) then
      spend(c, g)
    end
  end
  for _, h in pairs(parts) do
    -- Its sidecar was not told that it was counted with others.
    local there = not h.seen and not h.taken and redis.call('HGET', h.key, h.field)
    if there then
      local c = count(there)
      c.reserved = sub(c.reserved, h.amount, h.base)
      redis.call('HSET', h.key, h.field, text(c))
    end
  end
end
local reply, write, order = {'settled', now}, {}, {}
for _, one in ipairs(all) do
  for _, g in ipairs(one.gauges) do
    local c = of(g)
    local w = write[g.key]
    if not w then
      w = {expires = 0, index = g.index, name = g.name}
      write[g.key], order[#order + 1] = w, g.key
    end
    w.expires = math.max(w.expires, expiry(g, c))
    w[#w + 1], w[#w + 2] = g.field, text(c)
    reply[#reply + 1] = text(c)
  end
end
local freed = {}
for _, key in ipairs(order) do
  local w = write[key]
  local there = redis.call('HMGET', key, 'n', 'w')
  if not there[1] then
    -- Reserved without this ledger, or it has forgotten.
    w[#w + 1], w[#w + 2] = 'n', w.name
    redis.call('ZADD', w.index, w.expires, string.sub(key, -32))
  end
  redis.call('HSET', key, unpack(w))
  redis.call('PEXPIREAT', key, w.expires)
  if tonumber(there[2] or 0) > now_ms then freed[#freed + 1] = string.sub(key, -32) end
end
publish(ARGV[1], freed)
return reply
