"""Where an id lives: known, looked for, learned, forgotten."""

from trio2o.routes._routes import Routes, details_of
from trio2o.routes._sweep import Sweep, Swept
