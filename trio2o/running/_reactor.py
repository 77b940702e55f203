"""The reactor that the appliance runs on."""

import sys
from typing import Any

if sys.platform == "linux":
    from twisted.internet.epollreactor import EPollReactor

    class Reactor(EPollReactor):
        """epoll without a log context for each event: nobody reads it, and all it does costs as
        much as the reading from a socket."""

        # it logs what is raised
        _act: Any = EPollReactor._doReadOrWrite

        def doPoll(self, timeout: float | None) -> None:  # noqa: N802
            events = self._poller.poll(-1 if timeout is None else timeout, len(self._selectables))
            for descriptor, event in events:
                if (found := self._selectables.get(descriptor)) is not None:
                    self._act(found, descriptor, event)

        doIteration = doPoll  # noqa: N815


def install_reactor() -> None:
    """Has to be called before anything imports `twisted.internet.reactor`."""
    if sys.platform == "linux":
        from twisted.internet.main import installReactor

        make: Any = Reactor
        installReactor(make())
