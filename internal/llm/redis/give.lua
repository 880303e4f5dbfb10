-- Puts requests and tokens back into two buckets, or takes more when they are
-- less than nothing. KEYS: the buckets. ARGV: their sizes, requests, tokens.
-- The fields are those of take.lua.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local f = redis.call('HMGET', KEYS[1], 'at', 'requests', 'tokens')
local passed = math.max(0, now - (tonumber(f[1]) or now))
local full = 0

local function put(size, level, n)
  size = tonumber(size)
  if size <= 0 then
    return ''
  end
  local rate = size / 60000000
  level = math.min(size, math.min(size, (tonumber(level) or size) + passed * rate) + n)
  full = math.max(full, (size - level) / rate)
  return string.format('%.6f', level)
end

redis.call('HSET', KEYS[1], 'at', string.format('%.0f', now),
  'requests', put(ARGV[1], f[2], tonumber(ARGV[3])), 'tokens', put(ARGV[2], f[3], tonumber(ARGV[4])))
redis.call('PEXPIRE', KEYS[1], math.ceil(full / 1000) + 1000)
return 0
