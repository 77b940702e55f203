"""What a kind of thing looks like in its API: the words that the verbs need."""

from collections.abc import Callable

from attrs import Factory, frozen

from trio2o.domain.errors import NotFound
from trio2o.domain.values import is_uuid
from trio2o.message import Headers


@frozen
class Resource:
    """A kind of thing that has an id and lives in one pod.

    `key` and `rows` are the keys of one and of many in bodies (the type, and with an s, where not
    said otherwise), `collection` is its path below the version (`/servers`). `zones` are the keys
    that hold an AZ's name (or a list of them), `nested` those whose values hold `links` too,
    `project` those that may name the owner.
    `deleted_at_once`: a DELETE that is answered 2xx has already happened.
    `integers` are the members that hold a pod's own numbers (`service.id`: one level down), which
    `qualified` makes the tenants'. `probe` is a list in which an id is looked for where none can
    be shown by itself, `headers` what the looking call needs. `details` are the members that a
    route keeps, for when the pod is down, `mapped` those that hold ids which tenants may know by
    another (`scheduler_hints.group`: one level down). `zoned_by` is the service whose names of AZs
    it has, where that is not its own.
    """

    type: str
    service: str
    key: str = Factory(lambda self: self.type, takes_self=True)
    rows: str = Factory(lambda self: f"{self.key}s", takes_self=True)
    collection: str = Factory(lambda self: f"/{self.rows}", takes_self=True)
    zones: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    project: tuple[str, ...] = ("tenant_id", "project_id")
    deleted_at_once: bool = False
    well_formed: Callable[[str], bool] = is_uuid
    integers: tuple[str, ...] = ()
    probe: str = ""
    headers: Headers = ()
    details: tuple[str, ...] = ()
    mapped: tuple[str, ...] = ()
    zoned_by: str = ""

    @property
    def zone_service(self) -> str:
        return self.zoned_by or self.service

    def missing(self, id: str) -> NotFound:
        """What is said of an unknown id where no pod can be asked for its own words."""
        words = self.type.replace("_", " ")
        kind = self.type.title().replace("_", "") + "NotFound"
        return NotFound(f"{words.capitalize()} {id} could not be found.", kind=kind)

    def path(self, id: str) -> str:
        return f"{self.collection}/{id}"


PODS_NUMBERS = 10**9
"""Numbers below are a pod's own; `3000000007` is number 7 of the pod with number 3."""


def qualified(pod: int, number: int) -> int:
    """A pod's own number as one that no other pod's thing has."""
    return pod * PODS_NUMBERS + number


def split_number(text: str) -> tuple[int, int] | None:
    """The pod's number and the pod's own number; None for what was never qualified."""
    if not (text.isascii() and text.isdigit()):
        return None
    pod, number = divmod(int(text), PODS_NUMBERS)
    return (pod, number) if pod else None
