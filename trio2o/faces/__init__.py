"""What tenants and operators call: a package for each API."""

from trio2o.faces._face import BaseFace, Parts
