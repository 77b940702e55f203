"""Definitions: what must be the same in every pod."""

from trio2o.definitions._aggregates import Aggregates
from trio2o.definitions._extra_specs import kept_as, local, to_top, zones_of
from trio2o.definitions._flavors import Flavors
from trio2o.definitions._frame import Definitions
from trio2o.definitions._groups import ServerGroups
from trio2o.definitions._keypairs import Keypairs
from trio2o.definitions._kind import content
from trio2o.definitions._neutron import NEUTRON_KINDS
from trio2o.definitions._own import Means
from trio2o.definitions._places import Places
from trio2o.definitions._qos import DefaultTypes, QosSpecs
from trio2o.definitions._volume_types import GroupTypes, VolumeTypes

KINDS = (Flavors, Aggregates, VolumeTypes, GroupTypes, QosSpecs, DefaultTypes)
"""What is defined with or without a Neutron of our own: with one, it has `NEUTRON_KINDS`."""
