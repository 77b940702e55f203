"""Kinds of definitions that a pod's API has as a list of things with ids; steps that they share."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar
from urllib.parse import quote

from trio2o.definitions._kind import Document, Step
from trio2o.definitions._own import Means, Reads
from trio2o.definitions._places import Places
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version


class Listed(ABC):
    """`listing` is what shows all, one is below `path`; `key`, `rows` and `links` are the keys of
    one, of many and of the link to the next page, `id` is the member that tells one's id."""

    service: str
    adopts: bool = True
    version: ClassVar[Version | None] = None
    path: str
    listing: str
    key: str
    rows: str
    links: str = ""
    id: str = "id"

    def __init__(self, means: Means, places: Callable[[str], Places]) -> None:
        """`places` gives those of a kind of this name."""
        self._pods, self._places = means.pods, places
        self._reads = Reads(means, self.service, self.version)

    async def observe(self, pod: Pod) -> dict[str, Document]:
        shown = await self._all(pod)
        found = await together(self._whole(pod, one) for one in shown)
        return {str(one[self.id]): whole for one, whole in zip(shown, found, strict=True)}

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        if id:
            shown = await self._reads.one(pod, self.path, self.key, id)
        else:
            shown = await self._alike(pod, wanted)
        return (shown["id"], await self._whole(pod, shown)) if shown else None

    async def _alike(self, pod: Pod, wanted: Document) -> Document | None:
        """The thing that has the name of what is wanted."""
        rows = await self._all(pod) if wanted.get("name") else []
        return next((row for row in rows if row.get("name") == wanted["name"]), None)

    async def _all(self, pod: Pod) -> list[Document]:
        return await self._reads.all(pod, self.listing, self.rows, self.links)

    @abstractmethod
    async def _whole(self, pod: Pod, shown: Document) -> Document:
        """In canonical form, with what is shown apart."""

    def in_pod(self, wanted: Document, pod: Pod) -> Document | None:
        return wanted


PLAIN = ("name", "description", "is_public")


def plain_steps(path: str, key: str, have: Document, want: Document) -> list[Step]:
    """What makes a type's own members these; Cinder takes no null for them."""
    plain = {name: want[name] for name in PLAIN if want[name] != have[name]}
    told = {name: "" if value is None else value for name, value in plain.items()}
    return [Step("PUT", path, {key: told})] if told else []


def access_steps(path: str, action: str, key: str, have: Document, want: Document) -> list[Step]:
    """What lets in these projects and no others."""
    return [
        Step("POST", path, {word + action: {key: project}})
        for word, left, right in (("add", want, have), ("remove", have, want))
        for project in sorted(set(left["projects"]) - set(right["projects"]))
    ]


def specs_steps(path: str, key: str, have: Document, want: Document) -> list[Step]:
    """What makes extra specs (or the like, under a path of their own) these."""
    steps = [
        Step("DELETE", f"{path}/{quote(name, safe='')}", fine=404)
        for name in sorted(set(have) - set(want))
    ]
    if changed := {name: value for name, value in want.items() if have.get(name) != value}:
        steps.append(Step("POST", path, {key: changed}))
    return steps
