"""What a kind of thing looks like in its API: the words that the verbs need."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from trio2o.domain.errors import NotFound
from trio2o.domain.values import is_uuid


@frozen
class Resource:
    """A kind of thing that has an id and lives in one pod.

    `collection` is its path below the version (`/servers`), `key` and `rows` the keys of one
    and of many in bodies. `zones` are the keys that hold an AZ's name (or a list of them),
    `nested` those whose values hold `links` too, `project` those that may name the owner.
    `deleted_at_once`: a DELETE that is answered 2xx has already happened.
    """

    type: str
    service: str
    collection: str
    key: str
    rows: str
    zones: tuple[str, ...] = ()
    nested: tuple[str, ...] = ()
    project: tuple[str, ...] = ("tenant_id", "project_id")
    deleted_at_once: bool = False
    well_formed: Callable[[str], bool] = is_uuid

    def missing(self, id: str) -> NotFound:
        """What is said of an unknown id where no pod can be asked for its own words."""
        words = self.type.replace("_", " ")
        kind = self.type.title().replace("_", "") + "NotFound"
        return NotFound(f"{words.capitalize()} {id} could not be found.", kind=kind)

    def path(self, id: str) -> str:
        return f"{self.collection}/{id}"
