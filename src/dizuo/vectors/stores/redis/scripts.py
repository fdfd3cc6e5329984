"""Scripts that run inside Redis, each as one step that nothing else comes between."""

from __future__ import annotations

__all__ = ["ASSIGN", "CHANGE", "REMOVE"]

ASSIGN = """
local held = redis.call('HLEN', KEYS[1])
for place = 2, #ARGV do
  if held < tonumber(ARGV[1]) and redis.call('HSETNX', KEYS[1], ARGV[place], held) == 1 then held = held + 1 end
end
return redis.call('HGETALL', KEYS[1])
"""
"""Gives a slot to each number that has none, as long as there are slots, and returns all of them."""
CHANGE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
"""
"""Sets fields of a hash if it exists."""
REMOVE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
"""Removes a key if it has this value."""
