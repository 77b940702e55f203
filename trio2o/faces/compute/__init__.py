"""The compute face: Nova v2.1."""

from msgspec.structs import replace

from trio2o.domain.errors import Fault
from trio2o.domain.versions import Microversions, Range, Version
from trio2o.faces._face import BaseFace
from trio2o.faces._health import HEALTH
from trio2o.faces.compute._kinds import HYPERVISOR, SERVICE, VOLUME_SHOWN
from trio2o.faces.compute._views import RULES
from trio2o.faces.compute.operations import OPERATIONS
from trio2o.faces.resources import FLAVOR, SERVER
from trio2o.message import Answer, with_header
from trio2o.web import mount


class ComputeFace(BaseFace):
    """Nova, as its API reference has it."""

    name = "compute"
    types = ("compute",)
    version = "v2.1"
    sorted_links = True
    microversions = Microversions(
        service="compute",
        own=Range(Version(2, 1), Version(2, 104)),
        older="X-OpenStack-Nova-API-Version",
        lenient=True,
    )
    unversioned = frozenset(("/", "/v2/", "/{other}", "/healthcheck"))
    wrong_project = (
        "Malformed request URL: URL's project_id '{asked}' doesn't match "
        "Context's project_id '{own}'"
    )
    resources = {kind.type: kind for kind in (SERVER, FLAVOR, HYPERVISOR, SERVICE, VOLUME_SHOWN)}
    rules = RULES
    operations = OPERATIONS
    app = mount("v2.1", (*OPERATIONS, *HEALTH), with_project=True)

    def shape(self, fault: Fault) -> Answer:
        answer = super().shape(fault)
        headers = with_header(answer.headers, b"Content-Type", b"application/json; charset=UTF-8")
        return replace(answer, headers=headers)
