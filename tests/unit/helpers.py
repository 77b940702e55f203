"""What unit tests share."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

T = TypeVar("T")


def result_of(awaitable: Awaitable[T]) -> T:
    """The result of what ends without waiting; raises its error, or if it does not end."""
    ended: list[Any] = []
    started = awaitable if isinstance(awaitable, Deferred) else Deferred.fromCoroutine(awaitable)  # type: ignore[arg-type]
    started.addBoth(ended.append)
    assert ended, "it waits for something"
    if hasattr(ended[0], "raiseException"):
        ended[0].raiseException()
    return ended[0]
