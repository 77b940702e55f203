"""What must change in a pod's answer: links, AZ names, `Location`; where they stand, not else.

Bodies are taken apart one level at a time into raw values, so that all else stays as the pod
wrote it, a tenant's metadata that holds a pod's URL included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
from attrs import field, frozen

from trio2o.domain.resources import Resource, qualified
from trio2o.domain.values import Pod
from trio2o.message import Answer
from trio2o.verbs._context import Context, Kinds

Fields = dict[str, msgspec.Raw]
"""The members of a JSON object, each as it stands there."""

_fields = msgspec.json.Decoder(Fields).decode
_objects = msgspec.json.Decoder(dict[str, Fields]).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_link = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_text = msgspec.json.Decoder(str).decode


class _Link(msgspec.Struct, forbid_unknown_fields=True):
    rel: str
    href: str


_plain_links = msgspec.json.Decoder(list[_Link]).decode
_encode = msgspec.json.encode
_OBJECT, _LIST, _QUERY = b"{[?"
_NOTHING = (b"[]", b"null")

_VERSION = re.compile(r"/v\d+(?:\.\d+)?(?=/|$)")
_MARKER = re.compile(r"(?<=\bmarker=)[0-9a-f-]+")
_IMAGE = re.compile(r"(?:/v2)?/images/[^/]+$")


Change = Callable[[msgspec.Raw], msgspec.Raw]
"""A value of the pod's as the tenant sees it."""

REMEMBERED = 256
"""Values of a member that are remembered at most: images and flavors, AZs."""

Member = tuple[str, Change, dict[bytes, msgspec.Raw] | None]
"""A member that changes, and what its values became: where most are one of a few."""

UUID = 36
"""Characters of an id that links have in them."""

T = TypeVar("T")


def raw(value: object) -> msgspec.Raw:
    """A value as it stands in JSON."""
    return msgspec.Raw(_encode(value))


@frozen
class Rewriter:
    """Turns what one pod says into what the tenant sees.

    `prefix` is what stands before the version in the pod's paths. Without a `pod` AZs and numbers
    stay.
    """

    url: str
    images_url: str
    prefix: str
    pod: Pod | None = None
    tops: Mapping[str, str] = {}
    _changes: dict[str, tuple[Member, ...]] = field(factory=dict, init=False, eq=False, repr=False)
    _links: dict[bytes, list[bytes]] = field(factory=dict, init=False, eq=False, repr=False)

    @classmethod
    def of(cls, context: Context, prefix: str, pod: Pod | None = None) -> Rewriter:
        surface = context.surface
        return cls(surface.url, surface.images_url, prefix, pod, surface.tops)

    @classmethod
    def of_pod(cls, context: Context, pod: Pod) -> Rewriter:
        endpoint = context.pods.endpoint(pod, context.surface.service)
        made = context.surface.rewriters
        if (found := made.get(pod.pod_id)) is not None and found[:2] == (pod, endpoint.prefix):
            kept: Rewriter = found[2]
            return kept
        new = cls.of(context, endpoint.prefix, pod)
        made[pod.pod_id] = (pod, endpoint.prefix, new)
        return new

    def link(self, href: str) -> str:
        """A link of the pod as ours; a link's host may be any, only its path is looked at."""
        scheme, _, rest = href.partition("://")
        if not rest:
            return href
        start = rest.find("/")
        path, _, query = rest[start:].partition("?") if start >= 0 else ("", "", "")
        if found := _VERSION.search(path):
            path = path[found.start() :]
        elif self.prefix and path.startswith(self.prefix + "/"):
            path = path[len(self.prefix) :]
        return f"{self.url}{path}?{self._marked(query)}" if query else self.url + path

    def _marked(self, query: str) -> str:
        """A link's query, whose marker may be an id that tenants know by another."""
        if not self.tops:
            return query
        return _MARKER.sub(lambda found: self.tops.get(found[0], found[0]), query)

    def location(self, value: bytes) -> bytes:
        """`Location` of something made: ours, or the image face's."""
        return self.image(value.decode("latin-1")).encode("latin-1")

    def image(self, href: str) -> str:
        """A link that leads to the image face if it is an image's."""
        if self.images_url and (found := _IMAGE.search(urlsplit(href).path)):
            return self.images_url + found.group()
        return self.link(href)

    def links(self, value: msgspec.Raw) -> msgspec.Raw:
        """A list of `{"rel", "href"}`; anything else stays."""
        try:
            plain = _plain_links(value)
            for one in plain:
                # Nova's images name Glance so; its own links are `self` and `bookmark`
                alternate = one.rel == "alternate"
                one.href = self.image(one.href) if alternate else self.link(one.href)
            return raw(plain)
        except msgspec.MsgspecError:
            return self._odd_links(value)

    def _odd_links(self, value: msgspec.Raw) -> msgspec.Raw:
        """Links that have other members too, or are none."""
        try:
            links = _link(value)
            for link in links:
                if "href" in link:
                    href = _text(link["href"])
                    alternate = bytes(link.get("rel", b"")) == b'"alternate"'
                    link["href"] = raw(self.image(href) if alternate else self.link(href))
        except msgspec.MsgspecError:
            return value
        return raw(links)

    def zones(self, value: msgspec.Raw, service: str) -> msgspec.Raw:
        """An AZ's name; null stays, and where Nova's own services are. What lives in a pod's
        Neutron is in all AZs of the pod; what has no AZ of its own (the top's) keeps what it says.
        """
        text = bytes(value)[:1]
        if self.pod is None or not self.pod.az_name or bytes(value) == b'"internal"':
            return value
        if text == b'"':
            return raw(self.pod.shown_zone(_text(value), service))
        if text == b"[":
            return raw([zone.name for zone in self.pod.azs])
        return value

    def row(self, value: msgspec.Raw, resource: Resource | None) -> msgspec.Raw:
        """One object: its links, and if it is of this kind its AZ and what it embeds."""
        if resource is None:
            return self._linked(value)
        fields = _fields(value)
        return raw(fields) if self.change(fields, resource) else value

    def change(self, fields: Fields, resource: Resource) -> bool:
        """Change members of an object of this kind; whether it has any that could change."""
        if (changes := self._changes.get(resource.type)) is None:
            changes = self._changes[resource.type] = self._changes_of(resource)
        found = False
        for name, change, known in changes:
            if (value := fields.get(name)) is None:
                continue
            found = True
            if known is None:
                fields[name] = change(value)
                continue
            data = bytes(value)
            if (new := known.get(data)) is None:
                new = _remember(known, data, change(value))
            fields[name] = new
        if (links := fields.get("links")) is not None:
            found = True
            fields["links"] = self._links_of(links, bytes(fields.get("id", b""))[1:-1])
        return found

    def _links_of(self, value: msgspec.Raw, id: bytes) -> msgspec.Raw:
        """The links of the thing of this id: but for that, they are like those of others."""
        data = bytes(value)
        pieces = data.split(id) if len(id) == UUID and _QUERY not in data else ()
        if len(pieces) < 2:
            return self.links(value)
        key = b"\0".join(pieces)
        if (new := self._links.get(key)) is None:
            new = _remember(self._links, key, bytes(self.links(value)).split(id))
        return msgspec.Raw(id.join(new))

    def _linked(self, value: msgspec.Raw) -> msgspec.Raw:
        """An object of a kind that is not known: its links alone."""
        if not _is_object(value) or b'links"' not in bytes(value):
            return value
        fields = _fields(value)
        for name in fields:
            if name == "links" or name.endswith("_links"):
                fields[name] = self.links(fields[name])
        return raw(fields)

    def _changes_of(self, resource: Resource) -> tuple[Member, ...]:
        """The members that change in an object of this kind, and how."""

        def zones(value: msgspec.Raw) -> msgspec.Raw:
            return self.zones(value, resource.zone_service)

        changes: list[Member] = [(name, self._linked, {}) for name in resource.nested]
        changes += [(name, zones, {}) for name in resource.zones]
        changes += [(*inside(path, self._qualified), None) for path in resource.integers]
        changes += [(*inside(path, self._renamed), None) for path in resource.mapped]
        return tuple(changes)

    def _renamed(self, value: msgspec.Raw) -> msgspec.Raw:
        """An id of the pod (or a list of them) as the tenants'."""
        if bytes(value) in _NOTHING or not self.tops:
            return value
        known = msgspec.json.decode(value)
        if isinstance(known, list):
            return raw([self.tops.get(v, v) if isinstance(v, str) else v for v in known])
        return raw(self.tops.get(known, known)) if isinstance(known, str) else value

    def _qualified(self, value: msgspec.Raw) -> msgspec.Raw:
        """A pod's own number as the tenants' (a UUID stays)."""
        text = bytes(value)
        if self.pod is None or not text.isdigit():
            return value
        return raw(qualified(self.pod.number, int(text)))

    def rows(self, value: msgspec.Raw, resource: Resource | None) -> msgspec.Raw:
        return raw([self.row(i, resource) if _is_object(i) else i for i in _items(value)])

    def body(self, data: bytes, kinds: Kinds) -> bytes:
        """A whole document: each top-level object or list of objects."""
        one = kinds.one.get(data[2 : data.find(b'"', 2, 64)].decode("latin-1"))
        if one is not None and (whole := _only(data)) is not None:
            self.change(next(iter(whole.values())), one)
            return _encode(whole)
        try:
            fields = _fields(data)
        except msgspec.MsgspecError:
            return data
        for name, value in fields.items():
            if name == "links" or name.endswith("_links"):
                fields[name] = self.links(value)
            elif (first := memoryview(value)[0]) == _OBJECT:
                fields[name] = self.row(value, kinds.one.get(name))
            elif first == _LIST:
                fields[name] = self.rows(value, kinds.many.get(name))
            elif name.endswith("_id"):
                fields[name] = self._renamed(value)
        return _encode(fields)


def inside(path: str, change: Change) -> tuple[str, Change]:
    """The change at a dotted path, as one of the member that it begins with."""
    name, _, rest = path.partition(".")
    if not rest:
        return name, change
    inner, deep = inside(rest, change)

    def changed(value: msgspec.Raw) -> msgspec.Raw:
        fields = _fields(value) if _is_object(value) else {}
        if inner not in fields:
            return value
        fields[inner] = deep(fields[inner])
        return raw(fields)

    return name, changed


def _remember(known: dict[bytes, T], data: bytes, new: T) -> T:
    if len(known) >= REMEMBERED:
        known.clear()
    known[data] = new
    return new


def _only(data: bytes) -> dict[str, Fields] | None:
    """The members of the one object that a document is, read in one go; None if it is more."""
    try:
        whole = _objects(data)
    except msgspec.MsgspecError:
        return None
    return whole if len(whole) == 1 else None


def _is_object(value: msgspec.Raw) -> bool:
    return memoryview(value)[0] == _OBJECT  # raw values have no blanks before them


def rewrite(answer: Answer, context: Context, pod: Pod) -> Answer:
    """A pod's answer as the tenant gets it."""
    return rewritten(answer, Rewriter.of_pod(context, pod), context)


def rewritten(answer: Answer, rewriter: Rewriter, context: Context) -> Answer:
    headers = answer.headers
    said = {name.lower(): value for name, value in headers}
    if b"location" in said:
        headers = tuple(
            (name, rewriter.location(value) if name.lower() == b"location" else value)
            for name, value in headers
        )
    body = answer.body
    if isinstance(body, bytes) and body[:1] == b"{" and is_json(said.get(b"content-type", b"")):
        body = rewriter.body(body, context.surface.kinds)
    return Answer(answer.status, headers, body)


def is_json(kind: bytes) -> bool:
    """Whether a media type is JSON's."""
    # written in one way nearly always
    return kind == b"application/json" or kind.split(b";")[0].strip().lower() == b"application/json"


def fields_of(data: bytes) -> Fields:
    """The members of a JSON object, undecoded. Raises `msgspec.MsgspecError`."""
    return _fields(data)


def decoded(row: Fields) -> dict[str, Any]:
    """A row with its members decoded."""
    return {name: msgspec.json.decode(value) for name, value in row.items()}
