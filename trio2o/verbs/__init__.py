"""All that a gateway does with a call: forward, place, gather, define, answer."""

from trio2o.verbs._answer import Reply, refuse
from trio2o.verbs._context import Context, Operation, Surface, Verb, json_answer
from trio2o.verbs._define import Anywhere, Define
from trio2o.verbs._forward import Forward, Shared
from trio2o.verbs._gather import Gather, Order
from trio2o.verbs._place import Place, edit
from trio2o.verbs._refs import Ref, decode, value_at
from trio2o.verbs._table import rows

__all__ = [
    "Anywhere",
    "Context",
    "Define",
    "Forward",
    "Gather",
    "Operation",
    "Order",
    "Place",
    "Ref",
    "Reply",
    "Shared",
    "Surface",
    "Verb",
    "decode",
    "edit",
    "json_answer",
    "refuse",
    "rows",
    "value_at",
]
