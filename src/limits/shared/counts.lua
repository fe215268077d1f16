-- What every script of the ledger begins with: exact arithmetic, and how a count is kept.
--
-- Lua's numbers are doubles, exact up to 2^53 only; a budget of 10,000 USD is more pico-USD than that.
-- So an amount is a pair {q, r} that stands for q * base + r, with 0 <= r < base, and each half stays
-- below 2^53:
--   of a budget, and of what is counted at one moment, base is 10^12 (a USD in pico-USD);
--   of a rate of N in a period, the amount is time: one unit takes period / N microseconds. base is N,
--   q whole microseconds, r N-ths of one: nothing is ever rounded.
local BASE_MOST = 9e15 -- below 2^53; as microseconds since 1970 the year 2255

local function less(a, b)
  return a[1] < b[1] or (a[1] == b[1] and a[2] < b[2])
end

local function larger(a, b)
  if less(a, b) then return b end
  return a
end

local function smaller(a, b)
  if less(a, b) then return a end
  return b
end

local function add(a, b, base)
  local q, r = a[1] + b[1], a[2] + b[2]
  if r >= base then q, r = q + 1, r - base end
  if q > BASE_MOST then q, r = BASE_MOST, 0 end
  return {q, r}
end

-- a - b, and never below zero.
local function sub(a, b, base)
  if less(a, b) then return {0, 0} end
  local q, r = a[1] - b[1], a[2] - b[2]
  if r < 0 then q, r = q - 1, r + base end
  return {q, r}
end

-- The server's time, so that no sidecar's clock matters.
local time = redis.call('TIME')
local now_s = tonumber(time[1])
local now_us = now_s * 1000000 + tonumber(time[2])
local now_ms = math.floor(now_us / 1000)
local now = string.format('%.0f', now_us)

-- A gauge as a sidecar writes it: field, kind, base, the most (q r), an amount (q r), the window's
-- start and end in seconds, and for how many milliseconds a full count matters.
local function gauge(line)
  local w = {}
  for word in string.gmatch(line, '%S+') do w[#w + 1] = word end
  local n = function(at) return tonumber(w[at]) end
  return {
    field = w[1], kind = w[2], base = n(3), most = {n(4), n(5)}, amount = {n(6), n(7)},
    from = n(8), to = n(9), keep = n(10), taken = w[11] == 't',
    floor = w[2] == 'rate' and {now_us, 0} or {0, 0},
  }
end

-- Whether the sidecar's calendar shows the page that the server's clock says.
local function in_window(g)
  return g.kind ~= 'budget' or (now_s >= g.from and now_s < g.to)
end

-- A count, kept as `spent spent reserved reserved start`. `spent` of a rate is its theoretical arrival
-- time (GCRA), of a budget what is used in the window that began at `start`.
local function count(text, g)
  local c = {spent = {0, 0}, reserved = {0, 0}, start = g and g.from or 0}
  if text then
    local a, b, d, e, f = string.match(text, '(%S+) (%S+) (%S+) (%S+) (%S+)')
    c = {spent = {tonumber(a), tonumber(b)}, reserved = {tonumber(d), tonumber(e)}, start = tonumber(f)}
  end
  if g and g.kind == 'budget' then
    if c.start < g.from then
      c.spent, c.start = {0, 0}, g.from
    elseif c.start > g.to then
      c.start = g.from -- The server's clock must have been wrong before.
    end
  end
  return c
end

local function text(c)
  return string.format('%.0f %.0f %.0f %.0f %.0f', c.spent[1], c.spent[2], c.reserved[1], c.reserved[2], c.start)
end

-- Until when a count says more than none would: a minute more than it takes to be empty, and a day
-- while something of it is reserved.
local function expiry(g, c)
  local idle = g.kind == 'budget' and g.to * 1000 or now_ms + g.keep
  if less({0, 0}, c.reserved) then idle = math.max(idle, now_ms + 86400000) end
  return idle + 60000
end

-- What is held of a count by a reservation, as it is kept with it.
local function held(line)
  local key, field, base, a, b, taken, start, x, y = string.match(line,
    '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')
  return {
    key = key, field = field, base = tonumber(base), amount = {tonumber(a), tonumber(b)},
    taken = taken == 't', start = tonumber(start), after = {tonumber(x), tonumber(y)},
  }
end

-- Tells those that wait on other sidecars that something of these counts was given back.
local function publish(channel, freed)
  if #freed > 0 then redis.call('PUBLISH', channel, table.concat(freed, ' ')) end
end
