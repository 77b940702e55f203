"""A k-way merge of the pods' own pages: a page is never sorted anew, only its head compared.

Each pod's order is authoritative (an unscheduled server comes first whatever its time); between
pods the sort values decide, text folded as MySQL does, null lowest, the id last.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from attrs import define, field

from trio2o.domain.errors import PodUnavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod

Fetch = Callable[[str], Awaitable[tuple[list[msgspec.Raw], bool]]]
"""The rows behind a marker ('' = from the start), and whether there are more behind them."""


@lru_cache(maxsize=256)
def _reader(names: tuple[str, ...]) -> Callable[[msgspec.Raw], tuple[Any, ...]]:
    """Reads just these members of a row, None for those it lacks."""
    fields = {name: f"f{index}" for index, name in enumerate(dict.fromkeys(names))}
    kind = msgspec.defstruct(
        "Row",
        [(field, Any, None) for field in fields.values()],
        rename={field: name for name, field in fields.items()},
    )
    decode = msgspec.json.Decoder(kind).decode
    wanted = tuple(fields[name] for name in names)
    return lambda row: tuple(getattr(read, name) for read in (decode(row),) for name in wanted)


def _comparable(value: Any) -> tuple[int, Any]:
    if value is None:
        return (0, "")
    if isinstance(value, (bool, int, float)):
        return (1, value)
    return (2, str(value).casefold())


class Rank:
    """A row's place in an order."""

    __slots__ = ("falls", "id", "values")

    def __init__(self, values: tuple[Any, ...], falls: tuple[bool, ...], id: str) -> None:
        self.values, self.falls, self.id = values, falls, id

    @classmethod
    def of(
        cls, row: msgspec.Raw, keys: tuple[tuple[str, bool], ...] = (), named: str = "id"
    ) -> Rank:
        """Raises `msgspec.ValidationError` if the row is no object with an id.

        `named` is the member that a thing of this kind is told by.
        """
        id, *values = _reader((named, *(name for name, _ in keys)))(row)
        if id is None:
            raise msgspec.ValidationError("a row without an id")
        return cls(tuple(map(_comparable, values)), tuple(falls for _, falls in keys), str(id))

    def __lt__(self, other: Rank) -> bool:
        for mine, theirs, falls in zip(self.values, other.values, self.falls, strict=True):
            if mine != theirs:
                return bool(mine > theirs) if falls else bool(mine < theirs)
        return False


@define(eq=False)
class Source:
    """One pod's list, read page by page. `position` is the last id that was used up.

    `named` is the member that holds a row's id.
    """

    pod: Pod
    fetch: Fetch
    position: str = ""
    named: str = "id"
    _rows: list[msgspec.Raw] = field(factory=list)
    _next: int = 0
    _last: str = ""
    _more: bool = True

    def __attrs_post_init__(self) -> None:
        self._last = self.position

    @property
    def empty(self) -> bool:
        return self._next >= len(self._rows)

    @property
    def over(self) -> bool:
        return self.empty and not self._more

    def head(self) -> msgspec.Raw:
        return self._rows[self._next]

    def use(self, id: str) -> None:
        """The head was taken or passed over."""
        self._next += 1
        self.position = id

    async def more(self) -> None:
        """Read the next page."""
        rows, self._more = await self.fetch(self._last)
        self._rows, self._next = rows, 0
        if rows:
            self._last = Rank.of(rows[-1], named=self.named).id

    def end(self) -> None:
        self._rows, self._next, self._more = [], 0, False


async def merge(
    sources: Sequence[Source],
    rank: Callable[[msgspec.Raw], Rank],
    after: Rank | None,
    size: int | None,
    give_up: Callable[[Source], None],
    same: Callable[[msgspec.Raw], str] | None = None,
    skip: Callable[[Pod, msgspec.Raw], bool] | None = None,
) -> list[tuple[Source, msgspec.Raw, Rank]]:
    """The first `size` rows of all sources that come behind `after`.

    A source that fails, or has a row that is none, is given up.
    Of rows for which `same` tells the same (non-empty) text, the first stays; those to `skip` are
    as if they were not there.
    """
    heads: dict[Source, Rank] = {}
    taken: list[tuple[Source, msgspec.Raw, Rank]] = []
    seen: set[str] = set()

    async def advance(source: Source) -> None:
        """Bring the next head that counts to the front."""
        heads.pop(source, None)
        while not source.over:
            try:
                if source.empty:
                    await source.more()
                    continue
                head = rank(source.head())
            except (PodUnavailable, msgspec.MsgspecError):
                give_up(source)
                return
            behind = after is None or after < head
            if not behind or (skip is not None and skip(source.pod, source.head())):
                source.use(head.id)
                continue
            heads[source] = head
            return

    await together(advance(source) for source in sources)
    while heads and (size is None or len(taken) < size):
        first = _lowest(heads, sources)
        row, place = first.head(), heads[first]
        first.use(place.id)
        mark = same(row) if same else ""
        if not mark or mark not in seen:
            seen.add(mark)
            taken.append((first, row, place))
        await advance(first)
    return taken


def _lowest(heads: dict[Source, Rank], sources: Sequence[Source]) -> Source:
    """The source with the lowest head; of equals the first in the pods' order."""
    best: Source | None = None
    for source in sources:
        if source in heads and (best is None or heads[source] < heads[best]):
            best = source
    assert best is not None
    return best
