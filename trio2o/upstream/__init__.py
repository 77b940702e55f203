"""Connections to the servers behind us: pods, Keystone, Glance."""

from trio2o.upstream._breaker import Breaker
from trio2o.upstream._connection import Broken
from trio2o.upstream._places import Busy, Places, Unreachable
from trio2o.upstream._pool import Origin, Pool, Resting
from trio2o.upstream._trust import Trust

__all__ = [
    "Breaker",
    "Broken",
    "Busy",
    "Origin",
    "Places",
    "Pool",
    "Resting",
    "Trust",
    "Unreachable",
]
