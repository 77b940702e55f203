"""Where an id lives: known, looked for, learned, forgotten."""

from trio2o.routes._routes import Routes, details_of

__all__ = ["Routes", "details_of"]
