"""HTTP as clients speak it: the channel, the pipeline of every call, the Klein mount."""

from trio2o.web._channel import Limits
from trio2o.web._mount import Table, mount
from trio2o.web._pipeline import Asked, Face, Found, Pipeline, Row
from trio2o.web._shares import Shares
from trio2o.web._site import FaceSite, JointSite

__all__ = [
    "Asked",
    "Face",
    "FaceSite",
    "Found",
    "JointSite",
    "Limits",
    "Pipeline",
    "Row",
    "Shares",
    "Table",
    "mount",
]
