-- Takes from every bucket or from none. KEYS: the buckets. ARGV: the cost, then of
-- each bucket what it holds and what fills in a minute. Returns the microseconds to
-- wait, 0 when it was taken, and what is left in each. Times are in microseconds, by
-- this server's clock.
--
-- Fields: at, level: what was in it at that time.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local cost = tonumber(ARGV[1])
local wait, levels, rates = 0, {}, {}
for i, key in ipairs(KEYS) do
  local burst, rate = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1]) / 60000000
  local f = redis.call('HMGET', key, 'at', 'level')
  local passed = math.max(0, now - (tonumber(f[1]) or now))
  levels[i], rates[i] = math.min(burst, (tonumber(f[2]) or burst) + passed * rate), rate
  local missing = math.min(cost, burst) - levels[i]
  if missing > 0.000001 then
    wait = math.max(wait, math.ceil(missing / rate))
  end
end
local answer = {wait}
for i, key in ipairs(KEYS) do
  local burst = tonumber(ARGV[2 * i])
  if wait == 0 then
    levels[i] = levels[i] - math.min(cost, burst)
    redis.call('HSET', key, 'at', string.format('%.0f', now), 'level', string.format('%.6f', levels[i]))
    redis.call('PEXPIRE', key, math.ceil((burst - levels[i]) / rates[i] / 1000) + 1000)
  end
  answer[i + 1] = math.floor(math.max(0, levels[i]) + 0.000001)
end
return answer
