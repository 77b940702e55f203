"""The admin face: pods and bindings, for operators."""

from trio2o.domain.errors import Fault
from trio2o.faces._face import BaseFace, keystone_fault
from trio2o.faces.admin._metrics import figures
from trio2o.faces.admin.operations import OPERATIONS
from trio2o.message import Answer
from trio2o.web import mount


class AdminFace(BaseFace):
    """The API of Tricircle's and Trio2o's admin service, and what came to it."""

    name = "admin"
    types = ("cascading",)
    version = "v1.0"
    operations = OPERATIONS
    app = mount("v1.0", OPERATIONS, with_project=False, slashes=True)

    def shape(self, fault: Fault) -> Answer:
        return keystone_fault(fault)
