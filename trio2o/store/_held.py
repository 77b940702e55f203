"""Small tables in memory, as new as the store within a moment, whichever process changes them."""

from collections.abc import Awaitable, Callable

from trio2o.store._engine import Store
from trio2o.store.revisions import read_revisions

EVERY = 0.25
"""Seconds between looks at the revisions."""


class Held:
    """Reloads what is held of tables whose revision moved."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[str, int] = {}
        self._followers: list[tuple[tuple[str, ...], Callable[[], Awaitable[None]]]] = []

    def follow(self, reload: Callable[[], Awaitable[None]], *tables: str) -> None:
        """Have `reload` called when one of the tables changes; it is called once at first too."""
        self._followers.append((tables, reload))

    async def look(self) -> None:
        """One look. What fails is tried again at the next."""
        found = await self._store.read(read_revisions)
        moved = {name for name, number in found.items() if self._seen.get(name) != number}
        for tables, reload in self._followers:
            if moved.intersection(tables):
                await reload()
        self._seen = found
