"""What becomes known of a call while it is served."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from attrs import define, frozen

from trio2o.domain.values import Caller

LEFT = 499
"""The status that is written down where a client left before its answer."""


@define
class Trace:
    """A call under way. `row` is its operation once `chosen`, before that one of its path.

    `path` and `query` are raw; `ids` are the path's variables; `begun` is the clock's.
    """

    face: str
    method: str
    path: bytes
    query: bytes
    peer: str
    request_id: str
    begun: float
    row: Any = None
    chosen: bool = False
    ids: tuple[str, ...] = ()
    caller: Caller | None = None


@frozen
class Ended:
    """A call that ended. `size` is what of the body was given to the client, in bytes; `at` is
    the time of day; `pod` gave the answer, within `pod_seconds`; `made` is the body that told of
    something new."""

    trace: Trace
    status: int
    size: int
    seconds: float
    at: float
    pod: str = ""
    pod_seconds: float = 0.0
    made: bytes = b""


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def stamp(at: float) -> str:
    """`2026-01-31T10:00:00.123+00:00`."""
    second = int(at)
    return f"{_second(second)}.{int((at - second) * 1000):03d}+00:00"
