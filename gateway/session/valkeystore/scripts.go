package valkeystore

import "github.com/valkey-io/valkey-go"

// scripts are what must happen at once. All keys of a script have one tag, and
// so one slot. Each says what it returns.
//
//nolint:gochecknoglobals // constant texts with their hashes
var scripts = struct{ create, update, touch, remove, bury, index, save *valkey.Lua }{
	// KEYS session, tokens, tombstone, activity; ARGV value, life in ms, sealed
	// tokens, member, now in us, what was seen before this is surely over
	create: valkey.NewLuaScript(`
if redis.call('EXISTS', KEYS[1], KEYS[3]) > 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] ~= '' then redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[2]) else redis.call('DEL', KEYS[2]) end
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', ARGV[6])
redis.call('ZADD', KEYS[4], ARGV[5], ARGV[4])
redis.call('PEXPIRE', KEYS[4], ARGV[2], 'NX')
redis.call('PEXPIRE', KEYS[4], ARGV[2], 'GT')
return 1`),

	// KEYS session, tokens, tombstone; ARGV value that was read, new value, life
	// in ms, what to do with the tokens (keep, set, remove), sealed tokens.
	// -1: there is no session; 0: it was changed since
	update: valkey.NewLuaScript(`
local current = redis.call('GET', KEYS[1])
if not current or redis.call('EXISTS', KEYS[3]) > 0 then return -1 end
if current ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if ARGV[4] == 'set' then redis.call('SET', KEYS[2], ARGV[5], 'PX', ARGV[3])
elseif ARGV[4] == 'remove' then redis.call('DEL', KEYS[2])
else redis.call('PEXPIRE', KEYS[2], ARGV[3]) end
return 1`),

	// KEYS session, activity; ARGV member, time in us. -1: there is no session
	touch: valkey.NewLuaScript(`
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
redis.call('ZADD', KEYS[2], 'GT', ARGV[2], ARGV[1])
return 1`),

	// KEYS session, tokens, tombstone, activity; ARGV member, when it was revoked
	// in ms. Returns how long the session would have lived in ms, less than 0 when
	// it had been ended before, or 0 when there is none: then nothing is left
	// behind. What is deleted comes first: a server that is out of memory allows
	// that, and with it what follows.
	remove: valkey.NewLuaScript(`
local life = redis.call('PTTL', KEYS[1])
if life == -2 then
  redis.call('DEL', KEYS[2])
  return math.min(0, -redis.call('PTTL', KEYS[3]))
end
if life < 1 then life = 1 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SET', KEYS[3], ARGV[2], 'PX', life)
return life`),

	// The same for a session that may be gone already: the tombstone is set
	// whatever there is. ARGV member, when it was revoked in ms, life in ms
	bury: valkey.NewLuaScript(`
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('SET', KEYS[3], ARGV[2], 'PX', ARGV[3])
return 1`),

	// KEYS index; ARGV member, its end in hours, now in hours, life in ms
	index: valkey.NewLuaScript(`
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[4], 'NX')
redis.call('PEXPIRE', KEYS[1], ARGV[4], 'GT')
return 1`),

	// KEYS record; ARGV version that is expected, new value, life in ms or 0.
	// 0: it has another version
	save: valkey.NewLuaScript(`
local current = redis.call('GET', KEYS[1])
local version = string.rep('\0', 8)
if current then version = string.sub(current, 1, 8) end
if version ~= ARGV[1] then return 0 end
if ARGV[3] == '0' then redis.call('SET', KEYS[1], ARGV[2]) else redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]) end
return 1`),
}
