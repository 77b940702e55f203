"""The store: what spans the pods, and a record of where ids live."""

from trio2o.store._engine import EPOCH, Store, StoreAway
from trio2o.store._held import EVERY, Held
from trio2o.store._schema import NewerSchema
from trio2o.store.lease import Fenced
