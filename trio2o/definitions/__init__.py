"""Definitions: what must be the same in every pod."""

from trio2o.definitions._groups import ServerGroups
from trio2o.definitions._keypairs import Keypairs

__all__ = ["Keypairs", "ServerGroups"]
