"""What must change in a pod's answer: links, AZ names, `Location`; where they stand, not else.

Bodies are taken apart one level at a time into raw values, so that all else stays as the pod
wrote it, a tenant's metadata that holds a pod's URL included.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from urllib.parse import urlsplit

import msgspec
from attrs import evolve, frozen

from trio2o.domain.resources import Resource, qualified
from trio2o.domain.values import Pod
from trio2o.message import Answer, header
from trio2o.verbs._context import Context, answer_headers

Fields = dict[str, msgspec.Raw]
_fields = msgspec.json.Decoder(Fields).decode
_items = msgspec.json.Decoder(list[msgspec.Raw]).decode
_link = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.encode

_VERSION = re.compile(r"/v\d+(?:\.\d+)?(?=/|$)")
_IMAGE = re.compile(r"(?:/v2)?/images/[^/]+$")


def raw(value: object) -> msgspec.Raw:
    """A value as it stands in JSON."""
    return msgspec.Raw(_encode(value))


@frozen
class Rewriter:
    """Turns what one pod says into what the tenant sees.

    `prefix` is what stands before the version in the pod's paths; `zone` the tenant's AZ name;
    `number` the pod's.
    """

    url: str
    images_url: str
    prefix: str
    zone: str
    number: int = 0
    tops: Mapping[str, str] = {}

    @classmethod
    def of(cls, context: Context, prefix: str, zone: str, number: int = 0) -> Rewriter:
        surface = context.surface
        return cls(surface.url, surface.images_url, prefix, zone, number, surface.tops)

    @classmethod
    def of_pod(cls, context: Context, pod: Pod) -> Rewriter:
        endpoint = context.pods.endpoint(pod, context.surface.service)
        return cls.of(context, endpoint.prefix, pod.az_name, pod.number)

    def link(self, href: str) -> str:
        """A link of the pod as ours; a link's host may be any, only its path is looked at."""
        parts = urlsplit(href)
        if not parts.scheme:
            return href
        path = parts.path
        if found := _VERSION.search(path):
            path = path[found.start() :]
        elif self.prefix and path.startswith(self.prefix + "/"):
            path = path[len(self.prefix) :]
        return self.url + path + (f"?{parts.query}" if parts.query else "")

    def location(self, value: bytes) -> bytes:
        """`Location` of something made: ours, or the image face's."""
        href = value.decode("latin-1")
        path = urlsplit(href).path
        if self.images_url and (found := _IMAGE.search(path)):
            return (self.images_url + found.group()).encode("latin-1")
        return self.link(href).encode("latin-1")

    def links(self, value: msgspec.Raw) -> msgspec.Raw:
        """A list of `{"rel", "href"}`; anything else stays."""
        try:
            links = _link(value)
            for link in links:
                if "href" in link:
                    href = _text(link["href"])
                    # Nova's images name Glance so; its own links are `self` and `bookmark`
                    if bytes(link.get("rel", b"")) == b'"alternate"':
                        link["href"] = raw(self.location(href.encode()).decode())
                    else:
                        link["href"] = raw(self.link(href))
        except msgspec.MsgspecError:
            return value
        return raw(links)

    def zones(self, value: msgspec.Raw) -> msgspec.Raw:
        """An AZ's name, or a list of them; null stays, and where Nova's own services are.

        What has no AZ of its own (the top's) keeps what it says.
        """
        if not self.zone or bytes(value) == b'"internal"':
            return value
        text = bytes(value).lstrip()[:1]
        if text == b'"':
            return raw(self.zone)
        if text == b"[":
            return raw([self.zone])
        return value

    def row(self, value: msgspec.Raw, resource: Resource | None) -> msgspec.Raw:
        """One object: its links, and if it is of this kind its AZ and what it embeds."""
        data = bytes(value)
        zones = resource.zones if resource else ()
        integers = resource.integers if resource else ()
        if (
            b'links"' not in data
            and not integers
            and not any(zone.encode() in data for zone in zones)
        ):
            return value
        fields = _fields(value)
        for name in fields:
            if name == "links" or name.endswith("_links"):
                fields[name] = self.links(fields[name])
            elif name in zones:
                fields[name] = self.zones(fields[name])
            elif resource and name in resource.nested and _is_object(fields[name]):
                fields[name] = self.row(fields[name], None)
        for path in integers:
            change(fields, path, self._qualified)
        if self.tops and resource:
            for path in resource.mapped:
                change(fields, path, self._renamed)
        return raw(fields)

    def _renamed(self, value: msgspec.Raw) -> msgspec.Raw:
        """An id of the pod (or a list of them) as the tenants'."""
        known = msgspec.json.decode(value)
        if isinstance(known, list):
            return raw([self.tops.get(v, v) if isinstance(v, str) else v for v in known])
        return raw(self.tops.get(known, known)) if isinstance(known, str) else value

    def _qualified(self, value: msgspec.Raw) -> msgspec.Raw:
        """A pod's own number as the tenants' (a UUID stays)."""
        text = bytes(value)
        return raw(qualified(self.number, int(text))) if text.isdigit() else value

    def rows(self, value: msgspec.Raw, resource: Resource | None) -> msgspec.Raw:
        return raw([self.row(i, resource) if _is_object(i) else i for i in _items(value)])

    def body(self, data: bytes, resources: Iterable[Resource]) -> bytes:
        """A whole document: each top-level object or list of objects."""
        try:
            fields = _fields(data)
        except msgspec.MsgspecError:
            return data
        one = {resource.key: resource for resource in resources}
        many = {resource.rows: resource for resource in resources}
        for name, value in fields.items():
            if name == "links" or name.endswith("_links"):
                fields[name] = self.links(value)
            elif _is_object(value):
                fields[name] = self.row(value, one.get(name))
            elif bytes(value).lstrip()[:1] == b"[":
                fields[name] = self.rows(value, many.get(name))
        return _encode(fields)


def change(fields: Fields, path: str, how: Callable[[msgspec.Raw], msgspec.Raw]) -> None:
    """Change the member at a dotted path, if it is there."""
    name, _, rest = path.partition(".")
    if name not in fields:
        return
    if not rest:
        fields[name] = how(fields[name])
    elif _is_object(fields[name]):
        inner = _fields(fields[name])
        change(inner, rest, how)
        fields[name] = raw(inner)


def _is_object(value: msgspec.Raw) -> bool:
    return bytes(value).lstrip()[:1] == b"{"


def rewrite(answer: Answer, context: Context, pod: Pod) -> Answer:
    """A pod's answer as the tenant gets it."""
    return rewritten(answer, Rewriter.of_pod(context, pod), context)


def rewritten(answer: Answer, rewriter: Rewriter, context: Context) -> Answer:
    headers = tuple(
        (name, rewriter.location(value) if name.lower() == b"location" else value)
        for name, value in answer_headers(answer.headers)
    )
    body = answer.body
    if isinstance(body, bytes) and body[:1] == b"{" and is_json(answer):
        body = rewriter.body(body, context.surface.resources.values())
    return evolve(answer, headers=headers, body=body)


def is_json(answer: Answer) -> bool:
    kind = header(answer.headers, b"content-type") or b""
    return kind.split(b";")[0].strip().lower() == b"application/json"


def fields_of(data: bytes) -> Fields:
    """The members of a JSON object, undecoded. Raises `msgspec.MsgspecError`."""
    return _fields(data)
