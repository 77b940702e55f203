"""What the faces share of networks that span pods."""

from collections.abc import Awaitable

from attrs import frozen

from trio2o.message import Answer, Call
from trio2o.networks import Networks
from trio2o.verbs import Context, Verb


@frozen
class ByMode:
    """A row that is served in one way or another by `network.mode`."""

    local: Verb
    stretched: Verb

    def __call__(self, call: Call, context: Context) -> Awaitable[Answer]:
        verb = self.local if context.parts.networks is None else self.stretched
        return verb(call, context)


def networks_of(context: Context) -> Networks:
    """Raises nothing: only rows of the stretched mode ask."""
    found: Networks = context.parts.networks
    return found
