"""A k-way merge of the pods' own pages: a page is never sorted anew, only its head compared.

Each pod's order is authoritative; between pods the sort values decide, text folded as MySQL does
(`utf8_general_ci`), null lowest, the id last. Where rows do not tell a value, pod comes after pod.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from heapq import heappop, heappush
from typing import Any

import msgspec
from attrs import Factory, define, field, frozen

from trio2o.domain.errors import PodUnavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.verbs._rewrite import Fields

Fetch = Callable[[str], Awaitable[tuple[list[Fields], bool]]]
"""The rows behind a marker ('' = from the start), and whether there are more behind them. Raises
`MarkerGone`."""

Keys = tuple[tuple[str, bool], ...]
"""Members by which rows are ordered, each with whether it falls."""


class MarkerGone(Exception):
    """A pod does not know the row any more behind which it was to go on."""


def id_of(row: Fields, named: str = "id") -> str:
    """What a row is told by. Raises `msgspec.ValidationError` if it has no such thing."""
    data = bytes(row.get(named, b"null"))
    if data == b"null":
        raise msgspec.ValidationError("a row without an id")
    if data[0] == _QUOTE and _ESCAPE not in data:
        return data[1:-1].decode()
    return str(msgspec.json.decode(data))


_QUOTE, _ESCAPE = b'"\\'
_ABSENT, _NULL, _NUMBER, _TEXT = range(4)

_UP = bytes(range(256)).upper()
_DOWN = bytes(255 - byte for byte in _UP)
"""Turns text upside down; UTF-8 has no byte so high that the end of text would not be higher."""


def _folded(text: str) -> bytes:
    if not text.isascii():
        parts = unicodedata.normalize("NFD", text)
        text = "".join(part for part in parts if not unicodedata.combining(part))
    return text.upper().encode("utf-8", "surrogatepass")


def _comparable(data: bytes, falls: bool) -> tuple[int, Any]:
    """A value's place among others; where they fall, as what rises."""
    if data[0] == _QUOTE:
        plain = data.isascii() and _ESCAPE not in data
        text = data[1:-1] if plain else _folded(msgspec.json.decode(data))
        return (-_TEXT, text.translate(_DOWN) + b"\xff") if falls else (_TEXT, text.translate(_UP))
    value = msgspec.json.decode(data)
    if isinstance(value, dict):  # an object stands for its id
        value = value.get("id")
    if value is None:
        return (-_NULL, 0) if falls else (_NULL, 0)
    if isinstance(value, (bool, int, float)):
        return (-_NUMBER, -value) if falls else (_NUMBER, value)
    return _comparable(msgspec.json.encode(str(value)), falls)


@define(eq=False)
class Rank:
    """A row's place in an order: `values` compare as the rows do, whichever way each runs.

    `leads`: it stands before all that do not.
    """

    values: tuple[Any, ...]
    id: str
    leads: bool = False

    @property
    def told(self) -> bool:
        """Whether the row told all that it is ordered by."""
        return _ABSENT not in self.values[1::2]


@frozen
class Ranking:
    """Finds the place of a row. `zones` are members that hold an AZ's name, which is the pod's;
    rows that have this `lead` (a member and its value) stand first in a pod's list."""

    keys: Keys
    named: str = "id"
    zones: tuple[str, ...] = ()
    lead: tuple[str, str] = ("", "")
    _leading: bytes = field(
        default=Factory(lambda self: msgspec.json.encode(self.lead[1]), takes_self=True), init=False
    )

    def of(self, row: Fields, pod: Pod, may_lead: bool = True) -> Rank:
        """Raises `msgspec.ValidationError` if the row has no id."""
        leads = may_lead and bytes(row.get(self.lead[0], b"")) == self._leading
        values: list[Any] = [not leads]
        for name, falls in self.keys:
            data = bytes(row.get(name, b""))
            if name in self.zones and data[:1] == b'"':
                data = msgspec.json.encode(pod.az_name)
            values += _comparable(data, falls) if data else (_ABSENT, pod.number)
        return Rank(tuple(values), id_of(row, self.named), leads)


Skip = Callable[[Pod, Fields], bool]


@define(eq=False)
class Source:
    """One pod's list, read page by page. `position` is the last id that was used up.

    It goes on behind `position`; where that is not known, it is read from the start, and what does
    not come `behind` a rank is passed over. `leads`: its next row may be one that stands first.
    """

    pod: Pod
    fetch: Fetch
    ranking: Ranking
    position: str = ""
    behind: Rank | None = None
    leads: bool = True
    _rows: list[Fields] = field(factory=list)
    _next: int = 0
    _last: str = ""
    _more: bool = True
    _used: Rank | None = None

    def __attrs_post_init__(self) -> None:
        self._last, self._used = self.position, self.behind
        if self.position:
            self.behind = None

    @property
    def over(self) -> bool:
        return not self._more and self._next >= len(self._rows)

    @property
    def start(self) -> str:
        """Where a later page may go on; '' if the row that was used last can come to another place
        by then, and its rank tells what comes behind it."""
        used = self._used
        return "" if used is not None and used.leads and used.told else self.position

    def head(self, skip: Skip | None) -> Rank | None:
        """The place of the next row that counts; None if there is none in this page."""
        while self._next < len(self._rows):
            row = self._rows[self._next]
            place = self.ranking.of(row, self.pod, self.leads)
            self.leads = place.leads
            behind = self.behind is None or self.behind.values < place.values
            if behind and (skip is None or not skip(self.pod, row)):
                self.behind = None
                return place
            self.take(place)
        return None

    def take(self, place: Rank) -> Fields:
        """Use the head up."""
        row = self._rows[self._next]
        self._next += 1
        self._used, self.position = place, place.id
        return row

    async def more(self) -> None:
        """Read the next page."""
        try:
            rows, self._more = await self.fetch(self._last)
        except MarkerGone:
            # its place is found again by reading
            self.behind, self.leads = self._used, True
            rows, self._more = await self.fetch("")
        self._rows, self._next = rows, 0
        if rows:
            self._last = id_of(rows[-1], self.ranking.named)

    def end(self) -> None:
        self._rows, self._next, self._more = [], 0, False


async def merge(
    sources: Sequence[Source],
    size: int | None,
    give_up: Callable[[Source], None],
    same: Callable[[Fields], str] | None = None,
    skip: Skip | None = None,
) -> list[tuple[Source, Fields, Rank]]:
    """The first `size` rows of all sources.

    A source that fails, or has a row that is none, is given up.
    Of rows for which `same` tells the same (non-empty) text, the first stays; those to `skip` are
    as if they were not there.
    """
    heads: list[tuple[tuple[Any, ...], int, Rank]] = []
    taken: list[tuple[Source, Fields, Rank]] = []
    seen: set[str] = set()

    async def advance(order: int, source: Source) -> None:
        """Bring a source's next row among the heads."""
        while not source.over:
            try:
                if (place := source.head(skip)) is not None:
                    heappush(heads, (place.values, order, place))
                    return
                if not source.over:
                    await source.more()
            except (PodUnavailable, msgspec.MsgspecError):
                give_up(source)

    await together(advance(*one) for one in enumerate(sources))
    while heads and len(taken) != size:
        _, order, place = heappop(heads)
        source = sources[order]
        row = source.take(place)
        mark = same(row) if same else ""
        if not mark or mark not in seen:
            seen.add(mark)
            taken.append((source, row, place))
        if len(taken) != size:
            await advance(order, source)
    return taken
