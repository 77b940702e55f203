"""The network face: Neutron v2.0."""

from __future__ import annotations

from trio2o.domain.errors import Fault
from trio2o.faces._face import TITLES, BaseFace
from trio2o.faces.network.operations import OPERATIONS
from trio2o.faces.network_resources import ALL, DEFINED
from trio2o.message import Answer
from trio2o.verbs import json_answer
from trio2o.web import mount

__all__ = ["NetworkFace"]

# as the table writes the first segment of a path
_SPELLED = {
    segment.replace("_", "-").encode(): segment.encode()
    for segment in (row.path.split("/")[2] for row in OPERATIONS if row.path.count("/") > 1)
    if segment != "local_ips"
}


class NetworkFace(BaseFace):
    """Neutron, as its API reference has it; each network lives in one pod."""

    name = "network"
    types = ("network",)
    version = "v2.0"
    resources = {kind.type: kind for kind in (*ALL, *DEFINED)}
    operations = OPERATIONS
    app = mount("v2.0", OPERATIONS, with_project=False, slashes=True)

    def normal(self, path: bytes) -> bytes:
        """`-` and `_` are one in names of collections, and `.json` is taken behind them."""
        segments = path.removesuffix(b".json").split(b"/")
        if len(segments) > 2:
            spelled = segments[2].replace(b"_", b"-")
            segments[2] = _SPELLED.get(spelled, segments[2])
            if segments[2] == b"local-ips" and len(segments) > 4:
                segments[2] = b"local_ips"
        return b"/".join(segments)

    def shape(self, fault: Fault) -> Answer:
        """`{"NeutronError": {"type": "NetworkNotFound", "message": "...", "detail": ""}}`."""
        title = TITLES.get(fault.status, "Internal Server Error").replace(" ", "")
        kind = fault.kind or f"HTTP{title}"
        error = {"type": kind, "message": fault.message, "detail": ""}
        return json_answer(fault.status, {"NeutronError": error})
