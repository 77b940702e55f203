"""What becomes known of a call while it is served."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from msgspec import Struct

from trio2o.domain.values import Caller

LEFT = 499
"""The status that is written down where a client left before its answer."""


class Trace(Struct):
    """A call under way. `row` is its operation once `chosen`, before that one of its path.

    `path` and `query` are raw; `ids` are the path's variables; `begun` is the clock's. `pods` are
    those that were asked on its behalf, `pod_seconds` is the time for which any was waited for.
    """

    face: str = ""
    method: str = ""
    path: bytes = b""
    query: bytes = b""
    peer: str = ""
    request_id: str = ""
    begun: float = 0.0
    row: Any = None
    chosen: bool = False
    ids: tuple[str, ...] = ()
    caller: Caller | None = None
    pods: tuple[str, ...] = ()
    pod_seconds: float = 0.0
    _asking: int = 0
    _since: float = 0.0

    def asks(self, pod: str, now: float) -> None:
        """A pod is asked from now on."""
        if pod not in self.pods:
            self.pods = (*self.pods, pod)
        if not self._asking:
            self._since = now
        self._asking += 1

    def heard(self, now: float) -> None:
        """A pod that was asked answered, or did not."""
        self._asking -= 1
        if not self._asking:
            self.pod_seconds += now - self._since

    @property
    def pod(self) -> str:
        """The one pod that was asked ('' = none, or several)."""
        return self.pods[0] if len(self.pods) == 1 else ""


class Ended(Struct, frozen=True):
    """A call that ended. `size` is what of the body was given to the client, in bytes; `at` is
    the time of day; `made` is the body that told of something new."""

    trace: Trace
    status: int
    size: int
    seconds: float
    at: float
    made: bytes = b""


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def stamp(at: float) -> str:
    """`2026-01-31T10:00:00.123+00:00`."""
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1000):03d}+00:00"
