"""Which of the processes that share a store runs the reconcilers."""

from collections.abc import Callable

from txaio.tx import make_logger

from trio2o.domain.errors import Unavailable
from trio2o.store import Store
from trio2o.store.lease import give_up_lease, take_lease

log = make_logger()

LOOKS = 0.2
LASTS = 0.7
BELIEVED = 0.55
"""Parts of the time within which a dead holder has a successor: how often each process looks, how
long the lease lasts by the database's clock, how long its holder believes in it by its own."""


class Lease:
    """Held by one process at a time. The database's clock says when another may take it; the
    holder counts by its own, from before it asked."""

    def __init__(
        self, monotonic: Callable[[], float], store: Store, name: str, seconds: float
    ) -> None:
        """`name` is this process's own, told to operators; another takes over within `seconds`
        after its end."""
        self._monotonic, self._store = monotonic, store
        self.name, self._seconds = name, seconds
        self.looks = seconds * LOOKS
        self.holder = ""
        self.epoch = 0
        self._until = 0.0

    @property
    def held(self) -> bool:
        return self.left > 0

    @property
    def left(self) -> float:
        """Seconds for which it is held without a renewal; none if it is not."""
        return max(self._until - self._monotonic(), 0.0) if self.epoch else 0.0

    async def renew(self) -> None:
        """Take it or prolong it, or learn who holds it. A store that is away changes nothing."""
        begun, lasts = self._monotonic(), self._seconds * LASTS
        try:
            found = await self._store.write(lambda c: take_lease(c, self.name, lasts))
        except Unavailable as error:
            log.warn("the lease was not renewed: {why}", why=str(error))
            return
        self.holder = found.holder
        if found.holder != self.name:
            self.epoch = 0
            return
        self.epoch, self._until = found.epoch, begun + self._seconds * BELIEVED

    async def give_up(self) -> None:
        """Let another take it at once: this process ends."""
        if self.epoch:
            self.epoch = 0
            await self._store.write(lambda c: give_up_lease(c, self.name))
