-- One change to the penalties that all nodes share: a strike, a lift, or a penalty that a node still knows and this
-- server lost. The rules are those of `penalty-rules.ts`; a test compares them decision by decision. All keys carry one
-- hash tag, so the script runs on a cluster as it does on one server. Whole numbers are written with '%.0f'.
--
-- KEYS[1]   hash: key -> "<kind> <strikes> <counted, ms> <until, ms | never> <started, ms> <reason>"
-- KEYS[2]   stream of what changed: k, v ('' when forgotten), n (time of the server, ms); its ids are the epoch
-- KEYS[3-5] sorted sets of the known addresses, networks, and proven callers, by when they mean nothing any more
-- ARGV      'strike', time | '', kind, narrow, wide, reason, most addresses, most networks, most proven
--           'lift', time | '', key
--           'restore', time | '', key, kind, strikes, ms since counted, ms left | never, ms since started, reason
--           The time is given by tests only; else it is the server's own.
-- Reply     { outcome, time, then (key, value, id of the news) for each change }

local KNOWN, NEWS, ADDRESS, NETWORK, PROVEN = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local HOUR, FIRST, DUTY, MOST_STRIKES = 3600000, 30000, 30 * 86400000, 100
local KEPT_NEWS = 10000

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function whole(x) return string.format('%.0f', x) end

local function get(key)
  local value = key ~= '' and redis.call('HGET', KNOWN, key)
  if not value then return nil end
  local kind, strikes, counted, ends, started = string.match(value, '^(%S+) (%S+) (%S+) (%S+) (%S+)')
  return { kind = kind, strikes = tonumber(strikes), counted = tonumber(counted), ends = ends == 'never' and math.huge or tonumber(ends), started = tonumber(started) }
end
local function hours(p) return math.max(0, math.floor((now - p.counted) / HOUR)) end
local function left(p) return p and math.max(0, p.strikes - hours(p)) or 0 end
local function boxed(p) return p and now < p.ends end

local function setOf(key, kind)
  if kind ~= 'address' then return PROVEN end
  return string.sub(key, 1, 10) == '["network"' and NETWORK or ADDRESS
end
local reply = { 'boxed', whole(now) }
local function tell(key, value)
  local id = redis.call('XADD', NEWS, 'MAXLEN', '~', KEPT_NEWS, '*', 'k', key, 'v', value, 'n', whole(now))
  reply[#reply + 1] = key
  reply[#reply + 1] = value
  reply[#reply + 1] = id
end
local function put(key, p, reason)
  local ends = p.ends == math.huge and 'never' or whole(p.ends)
  local value = table.concat({ p.kind, whole(p.strikes), whole(p.counted), ends, whole(p.started), reason }, ' ')
  local forgotten = p.ends == math.huge and '+inf' or whole(math.max(p.ends, p.counted + p.strikes * HOUR, p.kind == 'person' and p.started + DUTY or 0))
  redis.call('HSET', KNOWN, key, value)
  redis.call('ZADD', setOf(key, p.kind), forgotten, key)
  tell(key, value)
end
local function drop(key)
  for _, set in ipairs({ ADDRESS, NETWORK, PROVEN }) do redis.call('ZREM', set, key) end
  return redis.call('HDEL', KNOWN, key)
end
-- What means nothing any more makes room, a few at a time; nobody needs to be told.
local function clean(set)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', set, '-inf', whole(now), 'LIMIT', 0, 50)) do drop(key) end
end
local function room(key, kind, most)
  local set = setOf(key, kind)
  clean(set)
  return redis.call('HEXISTS', KNOWN, key) == 1 or redis.call('ZCARD', set) < most[set]
end

if ARGV[1] == 'lift' then
  local key = ARGV[3]
  if drop(key) == 0 then reply[1] = 'unknown' else reply[1] = 'lifted'; tell(key, '') end
  return reply
end

if ARGV[1] == 'restore' then
  local key, kind, strikes = ARGV[3], ARGV[4], tonumber(ARGV[5])
  local ends = ARGV[7] == 'never' and math.huge or now + tonumber(ARGV[7])
  local p = { kind = kind, strikes = strikes, counted = now - tonumber(ARGV[6]), ends = ends, started = now - tonumber(ARGV[8]) }
  local known = get(key)
  if known and known.ends >= p.ends then reply[1] = 'known' else put(key, p, ARGV[9]) end
  return reply
end

local kind, narrow, wide, reason = ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local most = { [ADDRESS] = tonumber(ARGV[7]), [NETWORK] = tonumber(ARGV[8]), [PROVEN] = tonumber(ARGV[9]) }
local a, b = get(narrow), get(wide)
if boxed(a) or boxed(b) then return { 'already-boxed', whole(now) } end
local before = left(a) >= left(b) and a or b
local were = left(before)
local strikes = math.min(were + 1, MOST_STRIKES)
local counted = were > 0 and before.counted + hours(before) * HOUR or now
local suspended = (kind == 'key' or kind == 'client') and strikes >= 5
local ends = suspended and math.huge or now + math.min(FIRST * 2 ^ (strikes - 1), HOUR)
local crowded = kind == 'address' and not room(narrow, kind, most)
local widened = crowded or (kind == 'person' and strikes >= 3)
local key = widened and wide or narrow
local moves = widened and a
if not moves and not room(key, kind, most) then return { 'full', whole(now) } end
put(key, { kind = kind, strikes = strikes, counted = counted, ends = ends, started = now }, reason)
if moves then drop(narrow); tell(narrow, '') end
return reply
