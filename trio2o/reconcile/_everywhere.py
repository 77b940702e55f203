"""Reconcilers of all processes that share a store: passes at the holder of the lease, asked for
and reported anywhere."""

import traceback
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, TimeoutError
from txaio.tx import make_logger

from trio2o.domain.errors import Unavailable
from trio2o.reconcile._lease import Lease
from trio2o.reconcile._passes import Passes
from trio2o.store import Store
from trio2o.store.passes import Made, ask_for_pass, read_passes, record_pass

log = make_logger()


class Reconcilers:
    """What asks for passes and shows them; it starts and stops `passes` as the lease comes and
    goes."""

    def __init__(self, clock: Any, store: Store, passes: Passes, lease: Lease) -> None:
        self._clock, self._store, self._passes, self.lease = clock, store, passes, lease
        self._known: dict[str, Made] = {}
        self._waiting: list[tuple[str, int, Deferred[None]]] = []
        self._end: Any = None
        passes.elsewhere = self._ask_later
        passes.began = lambda name: self._known[name].asked if name in self._known else 0
        passes.ended = self._record

    async def look(self) -> None:
        """Renew the lease, or take it; to be called several times within its time."""
        await self.lease.renew()
        if self._end is not None and self._end.active():
            self._end.cancel()
        if self.lease.held:
            self._end = self._clock.callLater(self.lease.left, self._lost)
            if self._passes.epoch != self.lease.epoch:
                log.info(
                    "this process runs the reconcilers (epoch {epoch})", epoch=self.lease.epoch
                )
                self._passes.stop()
                self._passes.start(self.lease.epoch)
                await self.settle()
        else:
            self._lost()

    def _lost(self) -> None:
        if self._passes.running:
            log.warn("another process may run the reconcilers: those here are stopped")
            self._passes.stop()

    async def stop(self) -> None:
        """End passes, and let another process have them at once."""
        if self._end is not None and self._end.active():
            self._end.cancel()
        self._passes.stop()
        await self.lease.give_up()

    async def settle(self) -> None:
        """See what was asked for and made, here or elsewhere; at the holder, see to it."""
        self._known = await self._store.read(read_passes)
        for name, known in self._known.items():
            if known.asked > known.made and name in self._passes.names() and self.lease.held:
                self._passes.wake(name, 0.0)
        for one in list(self._waiting):
            name, number, waiting = one
            if name in self._known and self._known[name].made >= number:
                self._waiting.remove(one)
                waiting.callback(None)

    def names(self) -> tuple[str, ...]:
        return self._passes.names()

    def wake(self, name: str, seconds: float = 1.0) -> None:
        """Have the next pass soon, wherever passes are made."""
        self._passes.wake(name, seconds)

    async def run(self, name: str, deadline: float) -> None:
        """A pass now, and its end. Raises `Unavailable` if another process does not end it in
        time; it is made all the same."""
        if self.lease.held:
            await self._passes.run(name)
            return
        number = await self._store.write(lambda c: ask_for_pass(c, name))
        waiting: Deferred[None] = Deferred()
        one = (name, number, waiting)
        self._waiting.append(one)
        try:
            await waiting.addTimeout(max(deadline - self._clock.seconds(), 0), self._clock)
        except TimeoutError:
            who = self.lease.holder or "whoever takes the lease"
            raise Unavailable(f"The pass was asked for; {who} has not ended it yet.") from None
        finally:
            if one in self._waiting:
                self._waiting.remove(one)

    def report(self, name: str) -> dict[str, Any]:
        """How a reconciler stands, as `Passes.report`; its last pass may be another process's."""
        report = self._passes.report(name)
        known = self._known.get(name)
        if known is not None and known.report and (not self.lease.held or not report["last"]):
            told = msgspec.json.decode(known.report, type=dict[str, Any])
            report = told | ({"next": report["next"]} if self.lease.held else {})
        return report

    def _ask_later(self, name: str) -> None:
        """A wake at a process that is not the holder."""
        asked = Deferred.fromCoroutine(self._store.write(lambda c: ask_for_pass(c, name)))
        asked.addErrback(lambda failure: log.warn("not asked for: {why}", why=failure.value))

    async def _record(self, name: str, made: int) -> None:
        """A pass of ours has ended: what was asked for when it began is made."""
        report = msgspec.json.encode(self._passes.report(name)).decode()
        try:
            await self._store.write(lambda c: record_pass(c, name, made, report))
        except Unavailable:
            log.warn("a pass was not recorded\n{traceback}", traceback=traceback.format_exc())
