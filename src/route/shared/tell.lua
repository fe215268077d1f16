-- Writes words, gives the lease of a probe back, and tells that there is something to read.
-- KEYS: the lease, then the words' keys. ARGV: sidecar where it gives the lease back, channel, message,
-- then each word and its milliseconds of life.
for at = 2, #KEYS do
  redis.call('SET', KEYS[at], ARGV[2 * at], 'PX', ARGV[2 * at + 1])
end
if ARGV[1] ~= '' and redis.pcall('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return redis.call('PUBLISH', ARGV[2], ARGV[3])
