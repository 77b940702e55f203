"""The image face: Glance v2, passed to the one that all pods share."""

import re

from trio2o.domain.errors import Fault
from trio2o.faces._face import TITLES, BaseFace
from trio2o.faces.image.operations import OPERATIONS
from trio2o.message import Answer
from trio2o.verbs import json_answer
from trio2o.web import mount


class ImageFace(BaseFace):
    """Glance, as its API reference has it."""

    name = "image"
    types = ("image",)
    version = "v2"
    operations = OPERATIONS
    app = mount("v2", OPERATIONS, with_project=False)

    takes_any_media_type = True

    def normal(self, path: bytes) -> bytes:
        """`/v2.9/images` is `/v2/images`."""
        return re.sub(rb"^/v2\.\d+(?=/|$)", b"/v2", path)

    def shape(self, fault: Fault) -> Answer:
        """What WebOb gives to clients that accept JSON."""
        title = TITLES.get(fault.status, "Internal Server Error")
        body = {"code": f"{fault.status} {title}", "title": title, "message": fault.message}
        return json_answer(fault.status, body)
