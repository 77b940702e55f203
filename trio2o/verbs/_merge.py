"""A k-way merge of the pods' own pages: a page is never sorted anew, only its head compared.

Each pod's order is authoritative; between pods the sort values decide, text folded as MySQL does
(`utf8_general_ci`), null lowest, the id last. Where rows do not tell a value, pod comes after pod.
"""

from __future__ import annotations

import unicodedata
from bisect import insort
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any

import msgspec
from attrs import Factory, define, field, frozen
from msgspec.structs import astuple

from trio2o.domain.errors import PodUnavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod

Fetch = Callable[[str], Awaitable[tuple[list[msgspec.Raw], bool]]]
"""The rows behind a marker ('' = from the start), and whether there are more behind them. Raises
`MarkerGone`."""

Keys = tuple[tuple[str, bool], ...]
"""Members by which rows are ordered, each with whether it falls."""


class MarkerGone(Exception):
    """A pod does not know the row any more behind which it was to go on."""


@lru_cache(maxsize=256)
def _reader(names: tuple[str, ...]) -> Callable[[msgspec.Raw], tuple[Any, ...]]:
    """Reads just these members of a row, UNSET for those it lacks."""
    known = list(dict.fromkeys(names))
    fields = {name: f"f{index}" for index, name in enumerate(known)}
    kind = msgspec.defstruct(
        "Row",
        [(field, Any, msgspec.UNSET) for field in fields.values()],
        rename={field: name for name, field in fields.items()},
    )
    decode = msgspec.json.Decoder(kind).decode
    if len(known) == len(names):
        return lambda row: astuple(decode(row))
    wanted = itemgetter(*(known.index(name) for name in names))
    return lambda row: wanted(astuple(decode(row)))


def id_of(row: msgspec.Raw, named: str = "id") -> str:
    """What a row is told by. Raises `msgspec.ValidationError` if it is no object with that."""
    (id,) = _reader((named,))(row)
    if id is None or id is msgspec.UNSET:
        raise msgspec.ValidationError("a row without an id")
    return str(id)


def _folded(text: str) -> str:
    if not text.isascii():
        parts = unicodedata.normalize("NFD", text)
        text = "".join(part for part in parts if not unicodedata.combining(part))
    return text.upper()


ABSENT = (-1, "")


def _comparable(value: Any) -> tuple[int, Any]:
    if type(value) is str and value.isascii():
        return (2, value.upper())
    if value is msgspec.UNSET:
        return ABSENT
    if value is None:
        return (0, "")
    if isinstance(value, (bool, int, float)):
        return (1, value)
    if isinstance(value, dict):  # an object stands for its id
        return _comparable(value.get("id"))
    return (2, _folded(str(value)))


class Rank:
    """A row's place in an order. `leads`: it stands before all that do not."""

    __slots__ = ("falls", "id", "leads", "pod", "values")

    def __init__(
        self,
        values: tuple[Any, ...],
        falls: tuple[bool, ...],
        id: str,
        pod: int = 0,
        leads: bool = False,
    ) -> None:
        self.values, self.falls, self.id, self.pod, self.leads = values, falls, id, pod, leads

    def __lt__(self, other: Rank) -> bool:
        if self.leads != other.leads:
            return self.leads
        for mine, theirs, falls in zip(self.values, other.values, self.falls, strict=True):
            if mine is ABSENT or theirs is ABSENT:
                if self.pod != other.pod:
                    return self.pod < other.pod
            elif mine != theirs:
                return bool(mine > theirs) if falls else bool(mine < theirs)
        return False

    @property
    def told(self) -> bool:
        """Whether the row told all the values that it is ordered by."""
        return ABSENT not in self.values

    def equals(self, other: Rank) -> bool:
        return (self.leads, self.values) == (other.leads, other.values)


@frozen
class Ranking:
    """Finds the place of a row. `zones` are members that hold an AZ's name, which is the pod's;
    rows that have this `lead` (a member and its value) stand first in a pod's list."""

    keys: Keys
    named: str = "id"
    zones: tuple[str, ...] = ()
    lead: tuple[str, str] = ("", "")
    _read: Callable[[msgspec.Raw], tuple[Any, ...]] = field(
        default=Factory(
            lambda self: _reader((self.named, self.lead[0], *(name for name, _ in self.keys))),
            takes_self=True,
        ),
        init=False,
    )
    _falls: tuple[bool, ...] = field(
        default=Factory(lambda self: tuple(falls for _, falls in self.keys), takes_self=True),
        init=False,
    )
    _zoned: tuple[int, ...] = field(
        default=Factory(
            lambda self: tuple(
                place for place, (name, _) in enumerate(self.keys) if name in self.zones
            ),
            takes_self=True,
        ),
        init=False,
    )

    def of(self, row: msgspec.Raw, pod: Pod, *, may_lead: bool = True) -> Rank:
        """Raises `msgspec.ValidationError` if the row is no object with an id."""
        id, leading, *values = self._read(row)
        if id is None or id is msgspec.UNSET:
            raise msgspec.ValidationError("a row without an id")
        for place in self._zoned:
            if isinstance(values[place], str):
                values[place] = pod.az_name
        return Rank(
            tuple([_comparable(value) for value in values]),
            self._falls,
            str(id),
            pod.number,
            leads=may_lead and bool(self.lead[0]) and leading == self.lead[1],
        )


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
    _rows: list[msgspec.Raw] = field(factory=list)
    _next: int = 0
    _last: str = ""
    _more: bool = True
    _used: Rank | None = None

    def __attrs_post_init__(self) -> None:
        self._last, self._used = self.position, self.behind
        if self.position:
            self.behind = None

    @property
    def empty(self) -> bool:
        return self._next >= len(self._rows)

    @property
    def over(self) -> bool:
        return self.empty and not self._more

    @property
    def row(self) -> msgspec.Raw:
        return self._rows[self._next]

    @property
    def start(self) -> str:
        """Where a later page may go on; '' if the row that was used last can come to another place
        by then, and its rank tells what comes behind it."""
        used = self._used
        return "" if used is not None and used.leads and used.told else self.position

    def head(self) -> Rank:
        """The place of the next row."""
        place = self.ranking.of(self.row, self.pod, may_lead=self.leads)
        self.leads = place.leads
        return place

    def use(self, place: Rank) -> None:
        """The head was taken or passed over."""
        self._next += 1
        self._used, self.position = place, place.id

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
    same: Callable[[msgspec.Raw], str] | None = None,
    skip: Callable[[Pod, msgspec.Raw], bool] | None = None,
) -> list[tuple[Source, msgspec.Raw, Rank]]:
    """The first `size` rows of all sources.

    A source that fails, or has a row that is none, is given up.
    Of rows for which `same` tells the same (non-empty) text, the first stays; those to `skip` are
    as if they were not there.
    """
    heads = _Heads(sources)
    taken: list[tuple[Source, msgspec.Raw, Rank]] = []
    seen: set[str] = set()

    def step(source: Source) -> bool:
        """Bring the next head that counts to the front; False if a page is to be read first."""
        while not source.empty:
            head = source.head()
            behind = source.behind is None or source.behind < head
            if not behind or (skip is not None and skip(source.pod, source.row)):
                source.use(head)
                continue
            source.behind = None
            heads.add(source, head)
            return True
        return source.over

    async def advance(source: Source) -> None:
        try:
            while not step(source):
                await source.more()
        except (PodUnavailable, msgspec.MsgspecError):
            give_up(source)

    await together(advance(source) for source in sources)
    while heads and len(taken) != size:
        place, first = heads.pop()
        row = first.row
        first.use(place)
        mark = same(row) if same else ""
        if not mark or mark not in seen:
            seen.add(mark)
            taken.append((first, row, place))
        if len(taken) != size:
            await advance(first)
    return taken


class _Heads:
    """The sources' heads; of equals the first in the pods' order comes first.

    While all tell all their values, and are ordered in one direction, they are kept in the order in
    which tuples compare; else the lowest stands last.
    """

    def __init__(self, sources: Sequence[Source]) -> None:
        self._order = {source: order for order, source in enumerate(sources)}
        directions = {falls for source in sources for _, falls in source.ranking.keys}
        self._plain, self._rises = len(directions) == 1, directions == {False}
        self._heads: list[tuple[bool, Any, int, Rank, Source]] = []

    def __len__(self) -> int:
        return len(self._heads)

    def add(self, source: Source, place: Rank) -> None:
        order = self._order[source]
        if self._plain and place.told:
            leads, last = (not place.leads, order) if self._rises else (place.leads, -order)
            insort(self._heads, (leads, place.values, last, place, source))
            return
        if self._plain:
            self._plain = False
            if self._rises:
                self._heads.reverse()
        low, high = 0, len(self._heads)
        while low < high:
            middle = (low + high) // 2
            _, _, last, other, _ = self._heads[middle]
            if place < other or (order < abs(last) and not other < place):
                low = middle + 1
            else:
                high = middle
        self._heads.insert(low, (False, (), order, place, source))

    def pop(self) -> tuple[Rank, Source]:
        """Take the first of them."""
        _, _, _, place, source = self._heads.pop(0 if self._plain and self._rises else -1)
        return place, source
