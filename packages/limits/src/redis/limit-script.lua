-- One step on one or more limits, all or nothing. Every key comes in KEYS and all carry one hash tag, so the script runs
-- on a cluster as it does on one server. Amounts are whole numbers below 2^53 and are written with '%.0f': tostring()
-- would drop digits of a time in microseconds.
--
-- KEYS[1]  the epoch of this tag: "<id> <run id of the server> <begun, us>"
-- KEYS[2…] one hash per limit and caller:
--          t  latest time seen, us          e  epoch of the entries below
--          l:<node>#<seq>  "<units> <expires, us>"            a lease: units that a node may spend by itself
--          window: c:<us>  units that are free again then     (spent and cooling)
--          bucket: a  grains available, u  grains of one unit (64 grains flow in per microsecond)
--          quota:  n  units handed out in this period
--          concurrency: leases only, one for each holder
-- ARGV     run id, id for a new epoch, "1" if an empty server may grant at once, "1" if a restarted one kept its data, node;
--          per limit: kind, capacity, span us | grains per unit | period end us, grid us | 0 | period begin us, lease ttl us,
--                     seq ("0": spend at once, no lease), need, want,
--                     count of ended leases, (seq, spent) each, count of undone bookings, (time us, units, epoch) each,
--                     count of renewed holders, (seq, units) each;
--          and the time in microseconds, by tests only.
-- Reply    epoch id, "1" if all needs were met, then per limit: status, granted, units left, wait us, reset us, booked us, leases of others,
--          seqs of holders that were not renewed, with spaces between
--          status: 0 met, 1 short, 2 nothing is granted because data may have been lost

local GRAINS_PER_US = 64
local MOST_LEASES_OF_A_NODE = 64
-- Where units are missing because they are leased, come back after this: what is not spent is handed back before it expires.
local LEASED_WAIT_US = 300000
local node = ARGV[5]
local at = 5
local function text() at = at + 1; return ARGV[at] end
local function number() return tonumber(text()) end
local function whole(x) return string.format('%.0f', x) end

local asks = {}
for k = 2, #KEYS do
  local ask = { key = KEYS[k], kind = text(), capacity = number(), span = number(), grid = number(), ttl = number(), seq = text(), need = number(), want = number(), ends = {}, undo = {}, renew = {} }
  ask.mine = 'l:' .. node .. '#' .. ask.seq
  ask.isLease = ask.seq ~= '0'
  for _ = 1, number() do local seq = text(); ask.ends['l:' .. node .. '#' .. seq] = number() end
  for _ = 1, number() do ask.undo[#ask.undo + 1] = { at = text(), units = number(), epoch = text() } end
  for _ = 1, number() do local seq = text(); ask.renew[#ask.renew + 1] = { seq = seq, field = 'l:' .. node .. '#' .. seq, units = number() } end
  asks[#asks + 1] = ask
end

local time = redis.call('TIME')
local clock = tonumber(ARGV[at + 1]) or (tonumber(time[1]) * 1000000 + tonumber(time[2]))

-- An epoch that is missing, or was begun by another run of the server, means that what was granted before may be forgotten.
local epoch, run, begun
local known = redis.call('GET', KEYS[1])
if known then epoch, run, begun = known:match('^(%S+) (%S+) (%d+)$'); begun = tonumber(begun) end
if not epoch then
  epoch, begun = ARGV[2], ARGV[3] == '1' and 0 or clock
elseif run ~= ARGV[1] and ARGV[4] ~= '1' then
  epoch, begun = ARGV[2], clock
end
if run ~= ARGV[1] or not known then redis.call('SET', KEYS[1], epoch .. ' ' .. ARGV[1] .. ' ' .. whole(begun)) end

-- What all kinds have: entries of this epoch, time that never goes back, leases by their age.
local function load(ask)
  local hash = redis.call('HGETALL', ask.key)
  local state = { leases = {}, cool = {}, gone = {}, others = 0, own = 0, isChanged = false }
  for i = 1, #hash, 2 do state[hash[i]] = hash[i + 1] end
  if state.e and state.e ~= epoch then
    for i = 1, #hash, 2 do state[hash[i]] = nil end
    redis.call('DEL', ask.key)
    hash = {}
  end
  state.now = math.max(clock, tonumber(state.t or 0))
  for i = 1, #hash, 2 do
    local field, value = hash[i], hash[i + 1]
    local head = field:sub(1, 2)
    if head == 'l:' then
      local units, expires = value:match('(%d+) (%d+)')
      state.leases[#state.leases + 1] = { field = field, units = tonumber(units), expires = tonumber(expires) }
    elseif head == 'c:' then
      state.cool[#state.cool + 1] = { at = tonumber(field:sub(3)), units = tonumber(value), field = field }
    end
  end
  table.sort(state.leases, function(x, y) return x.expires < y.expires end)
  return state
end

-- Leases still out after those that ended are gone. `expired` and `ended` say what becomes of the units.
local function settle(ask, state, expired, ended)
  local out, firstExpiry = 0, nil
  for _, lease in ipairs(state.leases) do
    if lease.expires <= state.now then
      expired(lease)
      state.gone[#state.gone + 1] = lease.field
      state.isChanged = true
    end
  end
  for _, lease in ipairs(state.leases) do
    if lease.expires > state.now then
      local spent = ask.ends[lease.field]
      if spent then
        ended(lease, math.min(spent, lease.units))
        state.gone[#state.gone + 1] = lease.field
        state.isChanged = true
      else
        out = out + lease.units
        firstExpiry = math.min(firstExpiry or lease.expires, lease.expires)
        if lease.field == ask.mine then state.again = lease.units end
        if lease.field:sub(1, #node + 3) == 'l:' .. node .. '#' then state.own = state.own + 1 else state.others = state.others + 1 end
      end
    end
  end
  state.out, state.firstExpiry = out, firstExpiry and math.min(firstExpiry, state.now + LEASED_WAIT_US)
end

-- Each kind: `free` units now, `wait` until `need` fit, `reset` until all are back, `take(units)`, `save()`.
local kinds = {}

-- Strict window: every unit is free, leased or cooling. A unit spent at t cools until t + span at least.
function kinds.window(ask, state)
  local N, W, D = ask.capacity, ask.span, ask.grid
  local cool, fresh, cooling = {}, {}, 0
  local function book(from, units)
    if units <= 0 then return 0 end
    local free = from + W
    free = free + (D - free % D) % D
    local name = whole(free)
    fresh[name] = (fresh[name] or 0) + units
    return free
  end
  for _, entry in ipairs(state.cool) do cool[whole(entry.at)] = entry.units end
  for _, undo in ipairs(ask.undo) do
    local units = cool[undo.at]
    if units and undo.epoch == epoch then
      cool[undo.at] = math.max(0, units - undo.units)
      fresh[undo.at] = fresh[undo.at] or 0
    end
  end
  settle(ask, state, function(lease) book(lease.expires, lease.units) end, function(_, spent) book(state.now, spent) end)
  for name, units in pairs(fresh) do cool[name] = (cool[name] or 0) + units; state.isChanged = true end
  local ends = {}
  for name, units in pairs(cool) do
    local free = tonumber(name)
    if free <= state.now or units == 0 then
      cool[name] = nil
      fresh[name] = nil
      state.gone[#state.gone + 1] = 'c:' .. name
    else
      cooling = cooling + units
      ends[#ends + 1] = free
    end
  end
  table.sort(ends)
  -- A lease given just before the loss may be spent until its end and then counts for a whole window.
  local forgiven = begun > 0 and begun + ask.ttl + W + D or 0
  if state.now < forgiven then
    state.isLost = true
    state.free, state.wait = 0, forgiven - clock
  else
    state.free = math.max(0, N - cooling - state.out)
    local sum, wait = state.free, nil
    for _, free in ipairs(ends) do
      sum = sum + cool[whole(free)]
      if sum >= ask.need and not wait then wait = free - clock end
    end
    if state.firstExpiry then wait = math.min(wait or W, state.firstExpiry - clock) end
    state.wait = wait or W
  end
  state.reset = ends[1] and ends[#ends] - clock or 0
  state.take = function(units)
    if ask.isLease then return 0 end
    local free = state.now + W
    free = free + (D - free % D) % D
    local name = whole(free)
    cool[name] = (cool[name] or 0) + units
    fresh[name] = 0
    state.reset = math.max(state.reset, free - clock)
    return free
  end
  state.save = function(set)
    for name in pairs(fresh) do set('c:' .. name, whole(cool[name])) end
    return W + D + ask.ttl
  end
end

-- Token bucket: a unit is available, leased, or gone. Refill stops at capacity less what is leased.
function kinds.bucket(ask, state)
  local B, U = ask.capacity, ask.span
  local brim = B * U
  -- Unknown callers, and all after a loss: empty when the last forgotten lease has ended, filling since.
  local from = state.a and tonumber(state.t) or (begun > 0 and begun + ask.ttl or 0)
  local available = tonumber(state.a or 0)
  if state.u and tonumber(state.u) ~= U then available = math.floor(available / tonumber(state.u)) * U end
  state.isLost = not state.a and from > state.now
  state.now = math.max(state.now, from)
  local out = 0
  for _, lease in ipairs(state.leases) do out = out + lease.units end
  local function refill(to)
    available = math.max(available, math.min(brim - out * U, available + GRAINS_PER_US * (to - from)))
    from = to
  end
  available = math.max(0, math.min(available, brim - out * U))
  settle(ask, state, function(lease)
    refill(math.max(from, lease.expires))
    out = out - lease.units
  end, function(lease, spent)
    refill(state.now)
    out = out - lease.units
    available = available + (lease.units - spent) * U
  end)
  refill(state.now)
  local function describe()
    state.free = math.floor(available / U)
    state.reset = math.max(0, math.ceil((brim - available) / GRAINS_PER_US)) + state.now - clock
  end
  describe()
  local late = state.now - clock
  if ask.need * U <= brim - out * U or not state.firstExpiry then
    state.wait = math.max(0, math.ceil((ask.need * U - available) / GRAINS_PER_US)) + late
  else
    state.wait = state.firstExpiry - state.now + late
  end
  state.take = function(units)
    available = available - units * U
    describe()
    return 0
  end
  state.save = function(set)
    set('a', whole(available))
    set('u', whole(U))
    return math.ceil(brim / GRAINS_PER_US) + ask.ttl
  end
end

-- Calendar quota: handed out units count until the period ends, whose key this is. What a lease leaves comes back.
function kinds.quota(ask, state)
  local used = tonumber(state.n or 0)
  settle(ask, state, function() end, function(lease, spent) used = used - (lease.units - spent) end)
  for _, undo in ipairs(ask.undo) do
    if undo.epoch == epoch then used = math.max(0, used - undo.units); state.isChanged = true end
  end
  local isOver = state.now >= ask.span
  -- What was spent earlier in the period is not known any more.
  state.isLost = begun > ask.grid
  state.free = (isOver or state.isLost) and 0 or math.max(0, ask.capacity - used)
  state.wait = math.max(0, ask.span - state.now)
  if state.firstExpiry and not state.isLost then state.wait = math.min(state.wait, state.firstExpiry - state.now) end
  state.reset = math.max(0, ask.span - state.now)
  state.take = function(units) used = used + units; return ask.isLease and 0 or 1 end
  state.save = function(set)
    set('n', whole(used))
    return math.max(0, ask.span - state.now) + ask.ttl
  end
end

-- In flight: every holder is a lease that its node renews. One that ended or expired holds nothing. A holder that is
-- renewed and not known is taken in again where there is room, and always while the store may have forgotten it:
-- nothing is granted until every forgotten one was renewed or is over.
function kinds.concurrency(ask, state)
  local known, renewed, unknown = {}, {}, {}
  for _, lease in ipairs(state.leases) do known[lease.field] = lease end
  for _, renew in ipairs(ask.renew) do
    local lease = known[renew.field]
    if lease and lease.expires > state.now then
      lease.expires = state.now + ask.ttl
      renewed[renew.field] = lease.units
    else
      unknown[#unknown + 1] = renew
    end
  end
  settle(ask, state, function() end, function(lease) renewed[lease.field] = nil end)
  local forgiven = begun > 0 and begun + ask.ttl or 0
  state.isLost = state.now < forgiven
  local free = ask.capacity - state.out
  for _, renew in ipairs(unknown) do
    if not ask.ends[renew.field] and (state.isLost or free >= renew.units) then
      renewed[renew.field] = renew.units
      free = free - renew.units
    else
      state.unrenewed = (state.unrenewed and state.unrenewed .. ' ' or '') .. renew.seq
    end
  end
  if next(renewed) then state.isChanged = true end
  state.free = state.isLost and 0 or math.max(0, free)
  if state.isLost then state.wait = forgiven - clock
  else state.wait = state.firstExpiry and state.firstExpiry - clock or LEASED_WAIT_US end
  state.reset = free < ask.capacity and ask.ttl or 0
  state.take = function() return 0 end
  state.save = function(set)
    for field, units in pairs(renewed) do set(field, whole(units) .. ' ' .. whole(state.now + ask.ttl)) end
    return ask.ttl
  end
end

local isMet = true
local states = {}
for i, ask in ipairs(asks) do
  local state = load(ask)
  kinds[ask.kind](ask, state)
  states[i] = state
  state.isMet = state.again and state.again >= ask.need or state.free >= ask.need
  if ask.isLease and ask.kind ~= 'concurrency' and not state.again and state.own >= MOST_LEASES_OF_A_NODE then state.isMet = false end
  isMet = isMet and state.isMet
end

local reply = { epoch, isMet and 1 or 0 }
for i, ask in ipairs(asks) do
  local state = states[i]
  local granted, booked = 0, 0
  if state.again then
    granted = state.again
  elseif isMet then
    granted = math.min(ask.want, state.free)
    if granted > 0 then
      booked = state.take(granted)
      state.isChanged = true
      if ask.kind ~= 'bucket' then state.free = state.free - granted end
    end
  end
  -- A refusal that changed nothing writes nothing: floods cost the replicas nothing.
  if state.isChanged then
    local fields = { 't', whole(state.now), 'e', epoch }
    local function set(name, value) fields[#fields + 1] = name; fields[#fields + 1] = value end
    local keep = state.save(set)
    if granted > 0 and ask.isLease and not state.again then set(ask.mine, whole(granted) .. ' ' .. whole(state.now + ask.ttl)) end
    if #state.gone > 0 then redis.call('HDEL', ask.key, unpack(state.gone)) end
    redis.call('HSET', ask.key, unpack(fields))
    redis.call('PEXPIRE', ask.key, whole(math.ceil((state.now - clock + keep) / 1000) + 1000))
  end
  local status = state.isMet and 0 or (state.isLost and 2 or 1)
  for _, value in ipairs({ status, granted, state.free, math.ceil(state.wait), state.reset, booked, state.others, state.unrenewed or '' }) do reply[#reply + 1] = value end
end
return reply
