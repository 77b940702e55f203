"""Answer: the top knows, refuses, or it is gone."""

from collections.abc import Awaitable, Callable
from typing import NoReturn

from attrs import frozen

from trio2o.domain.errors import Fault
from trio2o.message import Answer, Call
from trio2o.verbs._context import Context


@frozen
class Reply:
    """What a function of the face says."""

    say: Callable[[Call, Context], Awaitable[Answer]]

    async def __call__(self, call: Call, context: Context) -> Answer:
        return await self.say(call, context)


@frozen
class Refuse:
    """Always the same error."""

    kind: type[Fault]
    message: str

    @property
    def status(self) -> int:
        return self.kind.status

    async def __call__(self, call: Call, context: Context) -> NoReturn:
        raise self.kind(self.message)
