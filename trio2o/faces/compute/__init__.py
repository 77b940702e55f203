"""The compute face: Nova v2.1."""

from trio2o.domain.versions import Microversions, Range, Version
from trio2o.faces._face import BaseFace
from trio2o.faces.compute.operations import OPERATIONS
from trio2o.faces.resources import FLAVOR, SERVER
from trio2o.web import mount

__all__ = ["ComputeFace"]


class ComputeFace(BaseFace):
    """Nova, as its API reference has it."""

    name = "compute"
    types = ("compute",)
    version = "v2.1"
    microversions = Microversions(
        service="compute",
        own=Range(Version(2, 1), Version(2, 104)),
        older="X-OpenStack-Nova-API-Version",
        lenient=True,
    )
    wrong_project = "Malformed request URL: URL's project_id doesn't match Context's project_id"
    resources = {"server": SERVER, "flavor": FLAVOR}
    operations = OPERATIONS
    app = mount("v2.1", OPERATIONS, with_project=True)
