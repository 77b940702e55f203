"""Microversions: ranges, and the headers that ask for one (API SIG, Microversion Specification)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from attrs import Factory, field, frozen

from trio2o.domain.errors import BadRequest, NotAcceptable
from trio2o.message import Headers

_NUMBER = re.compile(r"([1-9]\d*)\.([1-9]\d*|0)")


class Version(NamedTuple):
    """A microversion: 2.90 comes after 2.9."""

    major: int
    minor: int

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> Version:
        """Raises `ValueError` for what is no number such as 2.90."""
        if not (match := _NUMBER.fullmatch(text)):
            raise ValueError(text)
        return cls(int(match[1]), int(match[2]))


@frozen
class Range:
    """From `least` to `most`, both included."""

    least: Version
    most: Version

    def __contains__(self, version: object) -> bool:
        return isinstance(version, Version) and self.least <= version <= self.most

    def shared(self, other: Range) -> Range | None:
        """What lies in both."""
        both = Range(max(self.least, other.least), min(self.most, other.most))
        return both if both.least <= both.most else None


ANY = Range(Version(0, 0), Version(999999, 999999))


@frozen
class Microversions:
    """How one service's clients ask for a version, and how it is answered.

    `service` is its name in `OpenStack-API-Version`; `older` a header of its own that came before.
    Nova takes the last part for it in any case and ignores others, Cinder the first as written
    and refuses a header that has none.
    """

    service: str
    own: Range
    older: str = ""
    lenient: bool = False
    _told: dict[Version, Headers] = field(factory=dict, init=False, eq=False, repr=False)

    def asked(self, said: Mapping[bytes, bytes], offered: Range) -> Version:
        """The version a call is to be served in. Raises `BadRequest` or `NotAcceptable`.

        `said` are a call's headers, by names in lower case.
        """
        text = None if said.keys().isdisjoint(self.names) else self._text(said)
        if text is None:
            return max(self.own.least, offered.least)
        if text == "latest":
            return offered.most
        try:
            version = Version.parse(text)
        except ValueError:
            raise BadRequest(
                f"API Version String {text} is of invalid format. "
                "Must be of format MajorNum.MinorNum."
            ) from None
        if version not in offered:
            raise NotAcceptable(
                f"Version {version} is not supported by the API. "
                f"Minimum is {offered.least} and maximum is {offered.most}.",
                version,
            )
        return version

    def _text(self, said: Mapping[bytes, bytes]) -> str | None:
        value = said.get(b"openstack-api-version")
        parts = [] if value is None else [p.split() for p in value.decode("latin-1").split(",")]
        names = [part for part in parts if part and self._is_ours(part[0])]
        if names:
            part = names[-1] if self.lenient else names[0]
            if len(part) == 2:
                return part[1]
            if not self.lenient or len(part) > 2:
                return " ".join(part[1:])
        elif value is not None and not self.lenient:
            raise BadRequest(
                "The server could not comply with the request since it is either malformed "
                "or otherwise incorrect."
            )
        if self.older and (older := said.get(self.names[-1])) is not None:
            return older.decode("latin-1").rpartition(",")[2].strip()
        return None

    def _is_ours(self, name: str) -> bool:
        return (name.lower() if self.lenient else name) == self.service

    def headers(self, version: Version) -> Headers:
        """The headers that tell this version, in a call and in its answer."""
        told = self._told.get(version)
        if told is None:
            told = ((b"OpenStack-API-Version", f"{self.service} {version}".encode()),)
            if self.older:
                told = (*told, (self.older.encode(), str(version).encode()))
            self._told[version] = told
        return told

    def told(self, have: set[bytes]) -> bool:
        """Whether an answer with headers of these names, in lower case, tells its version."""
        return b"vary" in have and have.issuperset(self.names)

    def vary(self) -> Headers:
        """The `Vary` headers of answers."""
        names = ["OpenStack-API-Version", *([self.older] if self.older else [])]
        return tuple((b"Vary", name.encode()) for name in names)

    names: tuple[bytes, ...] = field(
        init=False,
        eq=False,
        default=Factory(
            lambda self: tuple(
                name.lower().encode() for name in ("OpenStack-API-Version", self.older) if name
            ),
            takes_self=True,
        ),
    )
    """The headers that tell a version, in lower case."""
