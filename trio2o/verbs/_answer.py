"""Answer: the top knows, refuses, or it is gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn

from attrs import frozen

from trio2o.domain.errors import BadRequest, Fault, Gone, NotFound, NotImplementedHere
from trio2o.message import Answer, Call
from trio2o.verbs._context import Context

_FAULTS: dict[int, type[Fault]] = {
    400: BadRequest,
    404: NotFound,
    410: Gone,
    501: NotImplementedHere,
}


@frozen
class Reply:
    """What a function of the face says."""

    say: Callable[[Call, Context], Awaitable[Answer]]

    async def __call__(self, call: Call, context: Context) -> Answer:
        return await self.say(call, context)


@frozen
class _Refuse:
    """Always the same error."""

    status: int
    message: str

    async def __call__(self, call: Call, context: Context) -> NoReturn:
        raise _FAULTS[self.status](self.message)


def refuse(status: int, message: str) -> _Refuse:
    """A verb that refuses with 400, 404, 410 or 501."""
    return _Refuse(status, message)
