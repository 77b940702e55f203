"""Stretched networks: kept in a top Neutron, made in every pod that needs them."""

from trio2o.networks import _things as things
from trio2o.networks._apply import NotMade
from trio2o.networks._calls import Refused, said_by
from trio2o.networks._join import settle_router
from trio2o.networks._loop import NetworkPass
from trio2o.networks._networks import Networks
from trio2o.networks._reads import in_scope
from trio2o.networks._things import MADE, TAKEN

__all__ = [
    "MADE",
    "TAKEN",
    "NetworkPass",
    "Networks",
    "NotMade",
    "Refused",
    "in_scope",
    "said_by",
    "settle_router",
    "things",
]
