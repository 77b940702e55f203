"""The store: what spans the pods, and a record of where ids live."""

from trio2o.store._engine import Store
from trio2o.store._schema import NewerSchema

__all__ = ["NewerSchema", "Store"]
