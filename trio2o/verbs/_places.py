"""Where a list goes on: the place of a marker, which may be any id, also one just deleted."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from attrs import frozen
from msgspec.structs import replace

from trio2o.domain.errors import Fault, PodUnavailable
from trio2o.domain.resources import Resource
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod, Route
from trio2o.domain.versions import Version
from trio2o.message import Answer, Call, Headers
from trio2o.pods import Target
from trio2o.verbs._context import Context, below
from trio2o.verbs._merge import Rank, Ranking, id_of
from trio2o.verbs._rewrite import Fields, fields_of, raw


class UnknownMarker(Exception):
    """No pod knows the marker."""


def rows_of(
    pod: Pod, answer: Answer, resource: Resource, linked: str = ""
) -> tuple[list[Fields], Fields]:
    """The rows of a pod's list, its links (at the key `linked`) and count.

    Raises `PodUnavailable` for what is none.
    """
    assert isinstance(answer.body, bytes)
    try:
        fields = _list_decoder(resource.rows, linked)(answer.body)
    except msgspec.MsgspecError:
        raise PodUnavailable(pod.pod_name, "its list is none") from None
    links = {"links": fields.links, "own_links": fields.own_links}
    more = {name: value for name, value in links.items() if value}
    if fields.count:
        more["count"] = fields.count
    return fields.rows, more


@lru_cache(maxsize=256)
def _list_decoder(rows: str, linked: str) -> Callable[[bytes], Any]:
    """Reads a list in one go: its rows, and what is said of it beside them."""
    names = {"rows": rows, "own_links": linked or f"{rows}_links"}
    more = [(name, msgspec.Raw, msgspec.Raw()) for name in ("own_links", "links", "count")]
    kind = msgspec.defstruct("List", [("rows", list[Fields]), *more], rename=names)
    return msgspec.json.Decoder(kind).decode


@frozen
class Gone:
    """The query by which an admin finds a row by its id even if it was deleted, or is another
    project's. Microversions behind `until` do not know it."""

    query: str
    until: Version

    def version(self, context: Context) -> Version:
        return min(context.version or self.until, self.until)


@frozen
class Places:
    """Finds markers of one list: as the caller is shown them, else as `gone` says.

    `definition`: whichever of the pods has a thing tells its place. `call` is the list's own.
    """

    resource: Resource
    ranking: Ranking
    gone: Gone | None
    definition: bool
    call: Call
    context: Context

    async def find(self, marker: str, pods: Sequence[Pod]) -> tuple[Rank, dict[str, str]]:
        """A marker's place in the order. Raises `UnknownMarker`."""
        if self.definition:  # the first pod that has it tells
            for pod in pods:
                if (row := await self._row(pod, marker)) is not None:
                    return self.ranking.of(row, pod), {pod.pod_id: marker}
            raise UnknownMarker
        context, resource = self.context, self.resource
        route = await context.routes.find(resource, marker, context.caller, context.deadline)
        owner = context.pods.get(route.pod_id) if route else None
        if owner is not None:
            row = await self._row_of(owner, route, marker)
        elif self.gone and resource.well_formed(marker):
            rows = await together(self._unshown(pod, marker) for pod in pods)
            found = zip(pods, rows, strict=True)
            owner, row = next(((pod, row) for pod, row in found if row is not None), (None, None))
        else:
            row = None
        if owner is None or row is None:
            raise UnknownMarker
        return self.ranking.of(row, owner), {owner.pod_id: marker}

    async def _row_of(self, pod: Pod, route: Route | None, id: str) -> Fields | None:
        """A row as the caller sees it, else as it was or as its route keeps it."""
        try:
            return await self._row(pod, id) or await self._unshown(pod, id)
        except Fault:
            known = await self.context.routes.known(self.resource, id) if route else None
            kept = msgspec.json.decode(known.details or "{}") if known else {}
            if not all(name in ("id", *kept) for name, _ in self.ranking.keys):
                raise
            return {name: raw(value) for name, value in {**kept, "id": id}.items()}

    async def _row(self, pod: Pod, id: str) -> Fields | None:
        path = self.resource.path(id).encode()
        call = replace(below(self.call, self.context), path=path, query=b"")
        answer = await self.context.ask(pod, call)
        assert isinstance(answer.body, bytes)
        if answer.status >= 500:
            raise PodUnavailable(pod.pod_name, f"status {answer.status}")
        if not answer.ok:
            return None
        try:
            return fields_of(fields_of(answer.body)[self.resource.key])
        except (msgspec.MsgspecError, KeyError):
            raise PodUnavailable(pod.pod_name, "what it shows is nothing") from None

    async def _unshown(self, pod: Pod, id: str) -> Fields | None:
        """A row that the caller cannot be shown, asked for as ourselves: only its place is used."""
        context, gone = self.context, self.gone
        if gone is None:
            return None
        token = await context.routes.own_token()
        headers: Headers = ((b"X-Auth-Token", token.encode()),)
        if context.surface.microversions is not None:
            headers += context.surface.microversions.headers(gone.version(context))
        path = f"{self.resource.collection}/detail".encode()
        call = Call("GET", path, gone.query.format(id=id).encode(), headers)
        target = Target(self.resource.service, "")
        answer = await context.pods.send(pod, target, call, context.deadline)
        if answer.status >= 500:
            raise PodUnavailable(pod.pod_name, f"status {answer.status}")
        rows = rows_of(pod, answer, self.resource)[0] if answer.ok else []
        return next((row for row in rows if id_of(row, self.ranking.named) == id), None)
