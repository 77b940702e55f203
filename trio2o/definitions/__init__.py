"""Definitions: what must be the same in every pod."""

from trio2o.definitions._aggregates import Aggregates
from trio2o.definitions._extra_specs import kept_as, local, to_top, zones_of
from trio2o.definitions._flavors import Flavors
from trio2o.definitions._frame import Definitions
from trio2o.definitions._groups import ServerGroups
from trio2o.definitions._keypairs import Keypairs
from trio2o.definitions._kind import Kind, Step
from trio2o.definitions._neutron import NEUTRON_KINDS
from trio2o.definitions._places import Places
from trio2o.definitions._qos import DefaultTypes, QosSpecs
from trio2o.definitions._volume_types import GroupTypes, VolumeTypes

__all__ = [
    "NEUTRON_KINDS",
    "Aggregates",
    "DefaultTypes",
    "Definitions",
    "Flavors",
    "GroupTypes",
    "Keypairs",
    "Kind",
    "Places",
    "QosSpecs",
    "ServerGroups",
    "Step",
    "VolumeTypes",
    "kept_as",
    "local",
    "to_top",
    "zones_of",
]
