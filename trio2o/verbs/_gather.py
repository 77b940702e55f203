"""Gather: ask all pods that matter at once, and merge their lists into one exact answer."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from math import isqrt
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from attrs import evolve, frozen
from msgspec.structs import replace

from trio2o.domain.errors import BadRequest, Fault, PodUnavailable, Unavailable
from trio2o.domain.resources import Resource, qualified
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.message import Answer, Call
from trio2o.verbs._context import Context, below, json_answer
from trio2o.verbs._forward import ask_any
from trio2o.verbs._merge import Keys, MarkerGone, Rank, Ranking, Source, merge
from trio2o.verbs._places import Gone, Places, UnknownMarker, rows_of
from trio2o.verbs._rewrite import Fields, Rewriter, decoded, raw

Query = list[tuple[str, str]]

UNAVAILABLE = b"X-Trio2o-Unavailable-Pods"

SCAN = 1000
"""Rows asked for at a time where a pod's place behind a marker has to be found by reading."""

_FIXED = frozenset(("id", "uuid", "created", "created_at", "createdAt"))
"""Members that never change: a row that is ordered by them stays where it is."""

_PLAIN = frozenset(
    """limit marker offset sort sort_key sort_dir page_reverse all_tenants deleted fields
    with_count availability_zone zone detail list_volume""".split()  # noqa: SIM905
)
"""Query parameters that leave no row out: a list with others is a question about certain rows."""


_TRUE = ("True", "true", "TRUE")

_SORTING = ("sort_key", "sort_dir", "page_reverse")


@frozen
class Order:
    """How a service orders a list: the keys asked for, or these; the id decides ties.

    `parse` reads a query's sort parameters into fields (None: none are given). `tail` is added
    to them, in the direction of the first where it has none of its own. Rows that have this `lead`
    (a member and its value) stand before all others, whatever the keys.
    """

    default: Keys
    parse: Callable[[Query], Keys | None] = lambda query: None
    tail: tuple[tuple[str, bool | None], ...] = (("id", False),)
    lead: tuple[str, str] = ("", "")

    def keys(self, query: Query, version: Version | None = None) -> Keys:
        asked = self.parse(query)
        if asked is None:
            return self.default
        have = {name for name, _ in asked}
        first = asked[0][1]
        more = tuple(
            (name, first if falls is None else falls)
            for name, falls in self.tail
            if name not in have
        )
        return asked + more


Shown = tuple[Pod, Fields, str]
"""A row, with whom it came from and its id."""

Dress = Callable[[Sequence[Shown], Context], Awaitable[list[Shown]]]
"""What a face makes of the rows of a page."""

StandIn = Callable[[Sequence[Pod], Query, bool, Context], Awaitable[list[msgspec.Raw] | None]]
"""Rows for what is known to live in these pods (in brief or not); None where the API has no such
rows for this query."""


@frozen
class Gather:
    """The list of a kind of thing over all pods: order, paging and links as one cloud's.

    `path` is asked of the pods (a brief list asks for detail, which has what it is ordered by),
    `brief` the members that are kept of a row then. `cap` is the largest page (0: a list without
    `limit` is whole). Rows for which `same` tells the same text are one thing, shown once;
    `definition`: they all are, and any pod knows a marker. `gone`: what the caller cannot be
    shown any more, or could never, is a marker all the same.
    `links` is the key of the paging links, `named` the member that a row is told by. `paged`: the
    list has pages at all, `offset`: it can be begun later by that, `marked`: it takes a marker
    (else it ignores one, and pages are cut here). `scan`: a marker is found by reading the list,
    for nothing else can show it. `absent`: a pod says 404 where it has no row. `stand_in` gives
    what is shown of pods that are down. `sources` are asked instead of the pods, rows to `skip` are
    left out (`extra` are the members that this looks at, `mark` may change them as a pod's rows
    come), and `dress` has the last word on a page's rows. `both`: pages go backwards too (Neutron's
    `page_reverse`), link both ways, and begin anew behind an unknown marker.
    """

    resource: Resource
    order: Order
    path: str = ""
    brief: tuple[str, ...] = ()
    cap: int = 1000
    links: str = ""
    same: Callable[[dict[str, Any]], str] | None = None
    definition: bool = False
    gone: Gone | None = None
    named: str = "id"
    paged: bool = True
    offset: bool = True
    marked: bool = True
    scan: bool = False
    absent: bool = False
    stand_in: StandIn | None = None
    sources: Callable[[Context], Sequence[Pod]] | None = None
    skip: Callable[[Pod, Fields], bool] | None = None
    extra: tuple[str, ...] = ()
    mark: Callable[[Pod, Sequence[Fields], Context], Awaitable[None]] | None = None
    dress: Dress | None = None
    both: bool = False

    async def __call__(self, call: Call, context: Context) -> Answer:
        asked = parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)
        pages = _Pages.parse(asked, self.cap) if self.paged else _Pages(None, False, "", 0)
        if pages is None:
            return await self._refusal(call, context, "limit or offset is no number")
        if not self.offset:
            pages = evolve(pages, offset=0)
        if not self.marked:
            pages = evolve(pages, marker="")
        pods, query = self._pods(asked, context)
        keys = self.order.keys(asked, context.version)
        reverse = bool(self.both and pages.size) and dict(asked).get("page_reverse", "") in _TRUE
        if reverse:  # the page before a row is the one behind it in the other order
            keys = tuple((name, not falls) for name, falls in keys)
            query = [pair for pair in query if pair[0] not in _SORTING]
            query += [("sort_key", name) for name, _ in keys]
            query += [("sort_dir", "desc" if falls else "asc") for _, falls in keys]
        wanted = tuple(value for name, value in asked if name == "fields")
        if wanted:  # what the merge needs is asked for too, and cut off again
            query += [("fields", name) for name, _ in ((self.named, False), *keys)]
            query += [("fields", name) for name in self.extra]
        listing = _Listing(self, call, context, pages, query, keys)
        listing.narrowed = self._narrowed(pods, asked)
        listing.kept = wanted or self.brief
        up = [pod for pod in pods if not context.pods.is_down(pod, self.resource.service)]
        listing.unavailable = [pod.pod_name for pod in pods if pod not in up]
        try:
            rows = await listing.rows(up)
        except _Refused as refused:
            return await self._refusal(call, context, "", refused.answer)
        except UnknownMarker:
            if not self.both:
                return await self._refusal(call, context, f"marker [{pages.marker}] not found")
            # Neutron has its own words for some kinds, and begins anew with others
            answer = await ask_any(self.resource, "", call, context)
            if not answer.ok:
                return answer
            anew = urlencode([pair for pair in asked if pair[0] != "marker"])
            return await self(replace(call, query=anew.encode()), context)
        if listing.nowhere is not None and not rows:
            return await self._refusal(call, context, "", listing.nowhere)
        if reverse:
            rows.reverse()
        listing.reverse = reverse
        await listing.note(rows)
        if self.dress is not None:
            rows = await self.dress(rows, context)
        if listing.unavailable and self.stand_in is not None:
            lost = [pod for pod in pods if pod.pod_name in listing.unavailable]
            extra = await self.stand_in(lost, asked, bool(self.brief), context)
            if extra is not None:
                return listing.answer(rows, asked, extra)
        # the caller's own project is what most lists are of anyway
        names = {name for name, value in asked if value != context.caller.project_id} - _PLAIN
        none = len(listing.unavailable) == len(pods)
        if listing.unavailable and context.refuses_to_omit(certain=bool(names), none=none):
            said = listing.rejected or (listing.failed if none else None)
            if said is not None:
                return await self._refusal(call, context, "", said)
            raise incomplete(listing.unavailable)
        return listing.answer(rows, asked)

    async def _refusal(
        self, call: Call, context: Context, why: str, refused: Answer | None = None
    ) -> Answer:
        """The call as the client made it, sent to one pod for its own words of refusal.

        Where that pod finds nothing wrong: what a pod said before, else `why`.
        """
        answer = await ask_any(self.resource, "", call, context)
        if not answer.ok:
            return answer
        if refused is None:
            raise BadRequest(why)
        return refused

    def _pods(self, asked: Query, context: Context) -> tuple[list[Pod], Query]:
        """The pods to ask and the query for them: an AZ as filter is ours to apply."""
        zones = {value for name, value in asked if name == "availability_zone"}
        pods = [
            pod
            for pod in (
                self.sources(context)
                if self.sources
                else context.pods.serving(self.resource.service)
            )
            if not zones or any(pod.is_in(zone) for zone in zones)
        ]
        ours = {"limit", "marker", "offset" if self.offset else "", "availability_zone"}
        ours |= {"zone"}.intersection(self.resource.zones)
        return pods, [(name, value) for name, value in asked if name not in ours]

    def _narrowed(self, pods: Sequence[Pod], asked: Query) -> dict[str, Query]:
        """What pods are asked besides that have several AZs, by pod: those of the filter."""
        names = [value for name, value in asked if name == "availability_zone"]
        found: dict[str, Query] = {}
        for pod in pods if self.resource.service != "network" else ():
            meant = {zone for name in names if (zone := pod.zone(name))}
            if 0 < len(meant) < len(pod.azs):
                own = sorted(zone.own(self.resource.zone_service) for zone in meant)
                found[pod.pod_id] = [("availability_zone", name) for name in own if name]
        return found


@frozen
class _Pages:
    """What a query says of paging. `size` is None where the whole list is meant."""

    size: int | None
    limited: bool
    marker: str
    offset: int

    @classmethod
    def parse(cls, asked: Query, cap: int) -> _Pages | None:
        """None if a number is none."""
        last = dict(asked)
        numbers = {}
        for name in ("limit", "offset"):
            text = last.get(name)
            if text is not None and not (text.isascii() and text.isdigit()):
                return None
            numbers[name] = None if text is None else int(text)
        limit = numbers["limit"]
        size = cap or None
        if limit is not None and (cap or limit):
            size = min(limit, cap) if cap else limit
        return cls(size, limit is not None, last.get("marker", ""), numbers["offset"] or 0)


class _Listing:
    """One list being made."""

    def __init__(
        self, gather: Gather, call: Call, context: Context, pages: _Pages, query: Query, keys: Keys
    ) -> None:
        self.gather, self.call, self.context = gather, call, context
        self.pages, self.query, self.keys = pages, query, keys
        self.zone = dict(parse_qsl(call.query.decode("latin-1"))).get("zone", "")
        self.unavailable: list[str] = []
        self.counts: dict[str, int] = {}
        self.kept: tuple[str, ...] = ()
        self.narrowed: dict[str, Query] = {}
        self.share = 0
        self.reverse = False
        self.rejected: Answer | None = None
        self.nowhere: Answer | None = None
        self.failed: Answer | None = None
        hasher = hashlib.sha256(repr((sorted(query), context.caller.project_id)).encode())
        self.ranking = Ranking(keys, gather.named, gather.resource.zones, gather.order.lead)
        resource, more = gather.resource, gather.definition or gather.sources is not None
        self.places = Places(resource, self.ranking, gather.gone, more, call, context)
        self.list_key = (context.operation.path, str(context.version), hasher.digest())

    async def rows(self, pods: Sequence[Pod]) -> list[Shown]:
        """The rows of this page."""
        if not self.keys or self.gather.scan:
            return await self._scanned(pods)
        after, starts = await self._behind_marker(pods)
        size = None if self.pages.size is None else self.pages.size + self.pages.offset
        if size and pods:  # rows cost a pod most: who has more of the page is asked again, which
            part = -(-size // len(pods))  # is rare: rows that lie at random spread by its root
            self.share = min(size, part + 3 * isqrt(part))
        sources = [self._source(pod, starts.get(pod.pod_id, ""), after) for pod in pods]
        taken = await self._merged(sources, size)
        self._remember(taken, sources)
        return [(source.pod, row, place.id) for source, row, place in taken[self.pages.offset :]]

    def _told(self, pod: Pod, id: str) -> str:
        """A row's id as the tenant is told it."""
        numbered = self.gather.named in self.gather.resource.integers and id.isdigit()
        return str(qualified(pod.number, int(id))) if numbered else id

    def _source(self, pod: Pod, start: str = "", after: Rank | None = None) -> Source:
        leads = not start or after is None or after.leads
        return Source(pod, self._fetch(pod), self.ranking, start, after, leads)

    async def _scanned(self, pods: Sequence[Pod]) -> list[Shown]:
        """A page of the whole list: where rows do not tell their order (then pod after pod, each
        in its own), or where nothing but the list tells a marker's place."""
        pages, self.pages = self.pages, evolve(self.pages, size=None, marker="")
        taken = await self._merged([self._source(pod) for pod in pods], None)
        self.pages = pages
        ids = [self._told(source.pod, rank.id) for source, _, rank in taken]
        known = pages.marker in ids
        if pages.marker and not known and self.gather.cap and not self.gather.definition:
            raise UnknownMarker
        start = (ids.index(pages.marker) + 1 if known else 0) + pages.offset
        end = None if pages.size is None else start + pages.size
        return [(source.pod, row, place.id) for source, row, place in taken[start:end]]

    async def _merged(
        self, sources: Sequence[Source], size: int | None
    ) -> list[tuple[Source, Fields, Rank]]:
        same = self._same if self.gather.same else None
        skip = self._elsewhere if self.zone else self.gather.skip
        return await merge(sources, size, self._give_up, same, skip)

    def _elsewhere(self, pod: Pod, row: Fields) -> bool:
        """Whether a host is in another AZ than is asked for: a pod's own services are in none."""
        shown = dict(row)
        Rewriter.of_pod(self.context, pod).change(shown, self.gather.resource)
        zone = pod.zone(self.zone)
        return "zone" in shown and shown["zone"] != raw(zone.name if zone else self.zone)

    def _same(self, row: Fields) -> str:
        assert self.gather.same is not None
        return self.gather.same(decoded(row))

    def _give_up(self, source: Source) -> None:
        """A pod that fails is named, and the others are listed."""
        source.end()
        if source.pod.pod_name not in self.unavailable:
            self.unavailable.append(source.pod.pod_name)

    def _fetch(self, pod: Pod) -> Callable[[str], Any]:
        size = self.pages.size
        linked = self.gather.links or not (self.gather.paged and self.gather.cap)
        if size is None and not linked:
            size = self.gather.cap
        had = 0
        own = [(name, self._own(name, value, pod)) for name, value in self.query]

        async def fetch(marker: str) -> tuple[list[Fields], bool]:
            nonlocal had
            query = [*own, *self.narrowed.get(pod.pod_id, ())]
            ask = 0
            if size is not None and self.gather.marked:
                ask = size + self.pages.offset
                if self.pages.marker and not marker:
                    ask = max(ask, SCAN)
                elif self.share:
                    ask = max(ask - had, self.share) if had else self.share
                ask = min(ask, self.gather.cap) if self.gather.cap else ask
                query.append(("limit", str(ask)))
            if marker:
                query.append(("marker", marker))
            try:
                answer = await self._ask(pod, query)
            except _Refused:
                if marker:
                    raise MarkerGone from None
                raise
            # a list that tells no links goes on while its pages are full
            rows, more = self._page(pod, answer, 0 if linked else ask)
            if self.gather.mark is not None:
                await self.gather.mark(pod, rows, self.context)
            had += len(rows)
            return rows, more

        return fetch

    def _own(self, name: str, value: str, pod: Pod) -> str:
        """A filter by the id of a definition, as the pod calls it."""
        if name in self.gather.resource.mapped:
            for one in self.context.definitions.values():
                if own := one.places.ids_in(pod).get(value):
                    return own
        return value

    async def _ask(self, pod: Pod, query: Query) -> Answer:
        sent = below(self.call, self.context)
        path = self.gather.path.encode() or sent.path
        sent = replace(sent, path=path, query=urlencode(query).encode())
        try:
            answer = await self.context.ask(pod, sent)
        except Fault as fault:
            raise PodUnavailable(pod.pod_name, fault.message) from None
        if answer.status >= 500:
            if answer.status in (500, 501):
                self.failed = answer
            raise PodUnavailable(pod.pod_name, f"status {answer.status}")
        if answer.status == 401:
            # the token was good enough for us: one pod that does not take it is ill
            self.rejected = answer
            raise PodUnavailable(pod.pod_name, "it refused the token")
        if answer.status == 404 and self.gather.absent:
            self.nowhere = answer
            return json_answer(200, {self.gather.resource.rows: []})
        if not answer.ok:
            # the same is wrong in every pod: the first that says so is the answer
            raise _Refused(answer)
        return answer

    def _page(self, pod: Pod, answer: Answer, full: int) -> tuple[list[Fields], bool]:
        rows, fields = rows_of(pod, answer, self.gather.resource, self.gather.links)
        more = any(b'"next"' in bytes(v) for name, v in fields.items() if name.endswith("links"))
        if "count" in fields:
            self.counts[pod.pod_id] = msgspec.json.decode(fields["count"], type=int)
        more = (more and self.gather.marked) or 0 < full <= len(rows)
        return rows, more and bool(rows)

    async def _behind_marker(self, pods: Sequence[Pod]) -> tuple[Rank | None, dict[str, str]]:
        """What the page comes behind, and each pod's own marker for it where that is known."""
        marker = self.pages.marker
        if not marker:
            return None, {}
        known = self.context.surface.positions.get((*self.list_key, marker))
        if known is not None and self._stays(known[0]):
            rank, starts = known
            return rank, starts
        try:
            found, starts = await self.places.find(marker, pods)
        except Fault:
            if known is None:
                raise
            found, starts = known
        if known is not None and known[0].values == found.values:
            starts = known[1]
        return found, starts

    def _stays(self, place: Rank) -> bool:
        """Whether a row cannot have come to another place."""
        return not place.leads and all(name in _FIXED for name, _ in self.keys)

    def _remember(
        self, taken: Sequence[tuple[Source, Fields, Rank]], sources: Sequence[Source]
    ) -> None:
        """Where each pod stood at the end of this page, for the page behind it."""
        if self.pages.size is not None and taken and not self.pages.offset:
            starts = {source.pod.pod_id: source.start for source in sources if source.start}
            last = taken[-1][2]
            self.context.surface.positions.put((*self.list_key, last.id), (last, starts))

    async def note(self, rows: Sequence[Shown]) -> None:
        """Where things live is learned by listing them."""
        resource, routes = self.gather.resource, self.context.routes
        by_pod: dict[Pod, list[dict[str, Any]]] = {}
        for pod, row, id in rows:
            if not routes.has_all(resource, id):
                by_pod.setdefault(pod, []).append(decoded(row))
        for pod, shown in by_pod.items():
            await routes.note(resource, pod, shown)

    def answer(
        self, rows: Sequence[Shown], asked: Query, extra: Sequence[msgspec.Raw] = ()
    ) -> Answer:
        gather, context = self.gather, self.context
        pods = {pod.pod_id: pod for pod, _, _ in rows}
        rewriters = {id: Rewriter.of_pod(context, pod) for id, pod in pods.items()}
        resource = gather.resource
        for pod, row, _ in rows:
            rewriters[pod.pod_id].change(row, resource)
        shown: list[Any] = [row for _, row, _ in rows]
        if kept := self.kept:
            shown = [{name: row[name] for name in kept if name in row} for row in shown]
        body: dict[str, Any] = {resource.rows: [*extra, *shown] if extra else shown}
        paged = self.pages.size is not None and (self.pages.limited or gather.cap)
        # a count that lacks a pod's rows would be wrong
        count = sum(self.counts.values()) if self.counts and not self.unavailable else None
        full = self.pages.size is not None and self.pages.size <= max(len(rows), count or 0)
        if gather.links and paged and (gather.both or (rows and full)):
            ends = [self._told(pod, id) for pod, _, id in (*rows[-1:], *rows[:1])] or ["", ""]
            links = [("next", ends[0], full or self.reverse)]
            links += [("previous", ends[1], full or not self.reverse)] if gather.both else []
            body[gather.links] = [
                {"rel": rel, "href": self._link(asked, id, rel)} for rel, id, is_ in links if is_
            ]
        if count is not None:
            body["count"] = count
        lost = ", ".join(self.unavailable).encode()
        return json_answer(200, body, ((UNAVAILABLE, lost),) if lost else ())

    def _link(self, asked: Query, marker: str, rel: str) -> str:
        """The user's own query, with the marker of the next page (or the previous), at our own
        address."""
        drop = {"marker", "offset"} if self.gather.offset else set()
        drop |= {"page_reverse"} if self.gather.both else set()
        query = [(name, value) for name, value in asked if name not in drop]
        if rel == "previous":
            query.append(("page_reverse", "True"))
        return self.context.link(query, marker)


def incomplete(pods: Sequence[str]) -> Unavailable:
    """The refusal of an answer that would leave out what these pods have."""
    are = "is" if len(pods) == 1 else "are"
    return Unavailable(f"The list cannot be told in full: {', '.join(pods)} {are} unavailable.")


class _Refused(Exception):
    """A pod refused the list itself."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer
