"""The volume face: Cinder v3."""

from trio2o.domain.versions import Microversions, Range, Version
from trio2o.faces._face import BaseFace
from trio2o.faces.volume.operations import OPERATIONS
from trio2o.faces.volume_resources import DEFINED, KINDS, OLDER
from trio2o.web import mount


class VolumeFace(BaseFace):
    """Cinder, as its API reference has it."""

    name = "volume"
    types = ("block-storage", "volumev3", "block-store")
    version = "v3"
    microversions = Microversions(service="volume", own=Range(Version(3, 0), Version(3, 71)))
    unversioned = frozenset(("/healthcheck",))
    wrong_project = "Malformed request url"
    resources = {f"{kind.key} {kind.rows}": kind for kind in (*KINDS, *OLDER, *DEFINED)}
    operations = OPERATIONS
    app = mount("v3", OPERATIONS, with_project=True)
