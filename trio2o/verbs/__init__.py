"""All that a gateway does with a call: forward, place, gather, define, answer."""

from trio2o.verbs._answer import Refuse, Reply
from trio2o.verbs._context import Context, Operation, Surface, Verb, below, json_answer
from trio2o.verbs._define import Anywhere, Define, Defined, Definitive, Everywhere, all_of
from trio2o.verbs._forward import Forward, Numbered, Shared, Since, ask_any, ask_in_turn
from trio2o.verbs._gather import UNAVAILABLE, Gather, Order, Shown, incomplete
from trio2o.verbs._named import Named, pod_naming
from trio2o.verbs._place import Needs, Place, Prepare, bind, edit, edit_member
from trio2o.verbs._places import Gone
from trio2o.verbs._refs import Ref, decode, mentioned, pins, value_at, values_at
from trio2o.verbs._rewrite import Fields, decoded, fields_of, raw, rewrite
from trio2o.verbs._table import definition_rows, rows
from trio2o.verbs._total import Total
