"""The head of a request, read strictly: what one reader could take for two things is refused."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from trio2o.domain.errors import BadRequest, Fault, NotImplementedHere
from trio2o.message import Headers

METHODS = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"))

FIELDS = 500
"""Header fields of a request at most."""

BEYOND = 1 << 63
"""A length that is not worth to be told exactly."""

_START = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([^\x00-\x20]+) HTTP/1\.([01])")
# behind us, WSGI reads X_Roles as X-Roles: no underscores
_FIELDS = re.compile(rb"(?:[!#$%&'*+\-.^`|~0-9A-Za-z]++:[\t\x20-\x7e\x80-\xff]*+\r\n)*+")
_FRAMING = frozenset(
    (b"host", b"x-auth-token", b"content-length", b"transfer-encoding", b"connection", b"expect")
)
_BAD_ESCAPE = re.compile(rb"%(?![0-9a-fA-F]{2})|%(?:2[fF]|5[cC]|7[fF]|[01][0-9a-fA-F])")
_PLAIN = re.compile(
    rb"(?=/)(?:/(?!\.{1,2}(?:[/?]|\Z))[0-9A-Za-z._~:@,=+$-]++)*+/?(?:\?[!\"$-~]*+)?"
)
"""Paths that need no second look: no escapes, no dots alone, no empty segments."""


class HeadTooLarge(Fault):
    status = 431


class Head(Struct):
    """What a head says. `length` is None if the body comes in chunks.

    `last`: the connection ends with this request; `old`: HTTP/1.0; `waits`: for 100 Continue.
    """

    method: str
    path: bytes
    query: bytes
    fields: Fields
    length: int | None
    last: bool
    waits: bool
    old: bool


class Fields(Struct):
    """A block of header lines, read. `headers` are without those that tell who calls; `said` has
    all others by their names in lower case, repeats joined. `framed` is what they mean in HTTP/1.1.
    """

    block: bytes
    headers: Headers
    said: dict[bytes, bytes]
    framing: dict[bytes, list[bytes]]
    framed: tuple[int | None, bool, bool] | None = None


NONE = Fields(b"", (), {}, {})


def read_head(text: bytes, last: Fields = NONE) -> Head:
    """The head of these lines, each with its end. Raises a `Fault`.

    `last` are the fields of a head before on the same connection: clients repeat themselves.
    """
    line, _, block = text.partition(b"\r\n")
    if block[:1] in (b" ", b"\t"):
        raise BadRequest("Malformed header: folded lines are not taken")
    start = _START.fullmatch(line)
    if start is None:
        raise BadRequest("Malformed request")
    fields = last if last.block == block else read_fields(block)
    method, target, minor = start.groups()
    old = minor == b"0"
    if method not in METHODS:
        raise NotImplementedHere("The method is not known.")
    if old or fields.framed is None:
        framed = _framed(fields.framing, old)
        if not old:
            fields.framed = framed
    else:
        framed = fields.framed
    check_path(target)
    path, _, query = target.partition(b"?")
    return Head(method.decode("ascii"), path, query, fields, *framed, old)


def _framed(framing: dict[bytes, list[bytes]], old: bool) -> tuple[int | None, bool, bool]:
    """The length of the body, whether the connection ends, whether 100 Continue is waited for."""
    length = _length(framing, old)
    if len(framing.get(b"host", ())) != 1 and not (old and b"host" not in framing):
        raise BadRequest("A request has one Host header")
    if len(framing.get(b"x-auth-token", ())) > 1:
        raise BadRequest("A request has one X-Auth-Token header")
    ends = old or (
        b"connection" in framing
        and b"close" in [o.strip().lower() for v in framing[b"connection"] for o in v.split(b",")]
    )
    waits = not old and [v.lower() for v in framing.get(b"expect", ())] == [b"100-continue"]
    return length, ends, waits


def read_fields(block: bytes) -> Fields:
    """Header lines, each with its end. Raises `BadRequest`."""
    if not _FIELDS.fullmatch(block):
        raise _malformed(block)
    headers = tuple(
        [
            (name, value.strip(b" \t"))
            for name, _, value in [line.partition(b":") for line in block.split(b"\r\n")[:-1]]
        ]
    )
    if len(headers) > FIELDS:
        raise BadRequest("Malformed request")
    framing: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        if (key := name.lower()) in _FRAMING:
            framing.setdefault(key, []).append(value)
    return Fields(block, *heard(headers), framing)


_SPOOFED = re.compile(
    rb"x-(?:roles?|user(?:-.*)?|project-.*|domain-.*|tenant(?:-.*)?|is-admin-project"
    rb"|identity-status|service-(?!token$).*|auth-plugin.*)|openstack-system-scope"
)
"""Headers by which services behind us are told who calls: never taken from a client."""


def heard(headers: Headers) -> tuple[Headers, dict[bytes, bytes]]:
    """The headers without those that would tell a service behind us who calls; and what they say,
    by names in lower case, repeats joined."""
    kept, said = [], dict[bytes, bytes]()
    for item in headers:
        name, value = item[0].lower(), item[1]
        if not _spoofs(name):
            kept.append(item)
            said[name] = said[name] + b", " + value if name in said else value
    return (headers if len(kept) == len(headers) else tuple(kept)), said


@lru_cache(maxsize=1024)
def _spoofs(name: bytes) -> bool:
    return _SPOOFED.fullmatch(name) is not None


def _malformed(block: bytes) -> BadRequest:
    """What is wrong with header lines, in words."""
    for line in block.split(b"\r\n")[:-1]:
        if line[:1] in (b" ", b"\t"):
            return BadRequest("Malformed header: folded lines are not taken")
        if b"_" in line.partition(b":")[0]:
            return BadRequest("Malformed header: underscores are not taken in names")
    return BadRequest("Malformed request")


def _length(said: dict[bytes, list[bytes]], old: bool) -> int | None:
    """The length of the body; None: it is chunked."""
    codings, lengths = said.get(b"transfer-encoding", ()), said.get(b"content-length", ())
    if any(coding.lower() != b"chunked" or old for coding in codings):
        raise BadRequest("Transfer-Encoding may be chunked, in HTTP/1.1, and no other")
    if len(codings) + len(lengths) > 1:
        raise BadRequest("Malformed request")
    if codings:
        return None
    if not lengths:
        return 0
    if not (text := lengths[0]).isdigit():
        raise BadRequest("Malformed request")
    return int(text) if len(text) < 19 else BEYOND


def check_path(target: bytes) -> None:
    """Raise `BadRequest` for a path that two readers could understand differently."""
    if _PLAIN.fullmatch(target):
        return
    path = target.partition(b"?")[0]
    if not path.startswith(b"/") or b"//" in path or b"\\" in path or b"#" in target:
        raise BadRequest("Malformed request URL")
    if _BAD_ESCAPE.search(path) or any(byte > 126 for byte in target):
        raise BadRequest("Malformed request URL")
    try:
        decoded = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("Malformed request URL") from None
    if any(segment in (".", "..") for segment in decoded.split("/")):
        raise BadRequest("Malformed request URL")
