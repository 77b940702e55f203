"""What passes between the layers: a call, an answer, and bodies that are read in pieces."""

from collections.abc import Iterable, Mapping
from typing import Protocol

from msgspec import Struct

__all__ = [
    "HOP_BY_HOP",
    "Aborted",
    "Answer",
    "Body",
    "Call",
    "Headers",
    "Stream",
    "end_to_end",
    "has_breaks",
    "header",
    "read_answer",
    "whole",
    "with_header",
    "without",
]

Headers = tuple[tuple[bytes, bytes], ...]
"""Header fields in order, repeats kept, names as they came."""


class Aborted(Exception):
    """A stream ended before its end: its source failed or its reader went away."""


class Stream(Protocol):
    """A body that is read in pieces by one consumer; pulling is the back-pressure."""

    @property
    def length(self) -> int | None:
        """How many bytes are to come in all, where that is known."""

    async def read(self) -> bytes:
        """The next piece, at most 64 KiB; b"" at the end. Raises `Aborted`."""

    def abort(self, why: Exception) -> None:
        """Give up: the source is told and later reads raise `Aborted`."""


Body = bytes | Stream


class Call(Struct, frozen=True):
    """An HTTP request. `path` is the raw path; `query` is without its question mark.

    `said` is what the edge makes of the headers: values by names in lower case, repeats joined.
    `peer` is the address that it came from ('' = not known).
    """

    method: str
    path: bytes
    query: bytes = b""
    headers: Headers = ()
    body: Body = b""
    said: Mapping[bytes, bytes] | None = None
    peer: str = ""

    @property
    def target(self) -> bytes:
        """Path and query as they stand in a request line."""
        return self.path + b"?" + self.query if self.query else self.path


class Answer(Struct, frozen=True):
    """An HTTP response."""

    status: int
    headers: Headers = ()
    body: Body = b""

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


def header(headers: Headers, name: bytes) -> bytes | None:
    """The first value of a header, whatever the case of its name."""
    name, size = name.lower(), len(name)
    for key, value in headers:
        if len(key) == size and key.lower() == name:
            return value
    return None


def without(headers: Headers, names: Iterable[bytes]) -> Headers:
    """The headers but for those named (in lower case)."""
    unwanted = frozenset(names)
    return tuple([item for item in headers if item[0].lower() not in unwanted])


HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""RFC 9110 7.6.1, and those that older software made."""


_HARMLESS = frozenset((b"keep-alive", b"close", b""))


def end_to_end(headers: Headers, more: frozenset[bytes] = HOP_BY_HOP) -> Headers:
    """The headers without those of one hop: the known ones, and what `Connection` names.

    `more` are those to leave out, in lower case: `HOP_BY_HOP` and others.
    """
    kept, named = [], []
    for item in headers:
        name = item[0].lower()
        if name not in more:
            kept.append(item)
        elif name == b"connection":
            named += [option.strip().lower() for option in item[1].split(b",")]
    return without(tuple(kept), named) if set(named) - _HARMLESS else tuple(kept)


_CR, _LF = b"\r\n"  # as numbers, which are looked for in bytes five times as fast


def has_breaks(lines: Iterable[bytes]) -> bool:
    """Whether any of these lines of a head would be read as two."""
    text = b"".join(lines)
    return _LF in text or _CR in text


def with_header(headers: Headers, name: bytes, value: bytes) -> Headers:
    """The headers with this one in place of any of its name."""
    return (*without(headers, (name.lower(),)), (name, value))


async def whole(body: Body, limit: int) -> bytes:
    """All of a body. Raises `Aborted` if it is longer than `limit` bytes or breaks off."""
    if isinstance(body, bytes):
        return body
    pieces, size = [], 0
    while piece := await body.read():
        size += len(piece)
        if size > limit:
            why = Aborted(f"a body of more than {limit} bytes")
            body.abort(why)
            raise why
        pieces.append(piece)
    return b"".join(pieces)


async def read_answer(answer: Answer, limit: int = 64 * 1024 * 1024) -> Answer:
    """The answer with its body read whole into memory."""
    if isinstance(answer.body, bytes):
        return answer
    return Answer(answer.status, answer.headers, await whole(answer.body, limit))
