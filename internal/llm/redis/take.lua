-- Takes a request and tokens from two buckets, or says how long they must wait.
-- KEYS: the buckets. ARGV: their sizes (what fills in a minute; 0: none), tokens,
-- the longest wait, who asks, and how often one who waits asks again. Times are in
-- microseconds, by this server's clock.
--
-- Fields: at, requests, tokens: what was in them at that time; next, expected,
-- lapses: whose turn it is, when there should be room, and when the turn lapses.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local f = redis.call('HMGET', KEYS[1], 'at', 'requests', 'tokens', 'next', 'expected', 'lapses')
local passed = math.max(0, now - (tonumber(f[1]) or now))
local longest, full = 0, 0

local function draw(size, level, want)
  size = tonumber(size)
  if size <= 0 then
    return ''
  end
  local rate = size / 60000000
  level = math.min(size, (tonumber(level) or size) + passed * rate)
  local missing = math.min(want, size) - level
  if missing > 0.000001 then
    longest = math.max(longest, math.ceil(missing / rate))
  end
  full = math.max(full, (size - level + want) / rate)
  return string.format('%.6f', level - want)
end

local requests = draw(ARGV[1], f[2], 1)
local tokens = draw(ARGV[2], f[3], tonumber(ARGV[3]))

local others = f[4] and f[4] ~= ARGV[5] and (tonumber(f[6]) or 0) > now
if others then
  return math.max(longest, (tonumber(f[5]) or 0) - now, 20000)
end
if longest > 0 then
  if longest <= tonumber(ARGV[4]) then
    redis.call('HSET', KEYS[1], 'next', ARGV[5], 'expected', string.format('%.0f', now + longest),
      'lapses', string.format('%.0f', now + math.min(longest, ARGV[6]) + 250000))
  end
  return longest
end
redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now), 'requests', requests, 'tokens', tokens)
redis.call('HDEL', KEYS[1], 'next', 'expected', 'lapses')
redis.call('PEXPIRE', KEYS[1], math.ceil(full / 1000) + 1000)
return 0
