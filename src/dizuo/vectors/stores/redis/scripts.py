"""Scripts that run inside Redis, each as one step that nothing else comes between."""

from __future__ import annotations

__all__ = ["CHANGE", "REMOVE"]

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
