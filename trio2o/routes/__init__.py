"""Where an id lives: known, looked for, learned, forgotten."""

from trio2o.routes._routes import Routes

__all__ = ["Routes"]
