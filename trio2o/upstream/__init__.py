"""Connections to the servers behind us: pods, Keystone, Glance."""

from trio2o.upstream._breaker import Breaker
from trio2o.upstream._connection import Broken
from trio2o.upstream._pool import Busy, Origin, Pool, Resting, Unreachable

__all__ = ["Breaker", "Broken", "Busy", "Origin", "Pool", "Resting", "Unreachable"]
