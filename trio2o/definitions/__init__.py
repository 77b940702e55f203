"""Definitions: what must be the same in every pod."""

from trio2o.definitions._flavors import Flavors
from trio2o.definitions._frame import Definitions
from trio2o.definitions._groups import ServerGroups
from trio2o.definitions._keypairs import Keypairs
from trio2o.definitions._kind import Kind, Step

__all__ = ["Definitions", "Flavors", "Keypairs", "Kind", "ServerGroups", "Step"]
