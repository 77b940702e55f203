"""What the faces share of networks that span pods."""

from collections.abc import Awaitable
from typing import Any
from urllib.parse import urlencode

import msgspec
from attrs import frozen

from trio2o.message import Answer, Call, header
from trio2o.networks import Networks, said_by
from trio2o.verbs import UNAVAILABLE, Context, Verb
from trio2o.web import Asked


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


async def ask_network(
    context: Context, method: str, path: str, body: Any = None, **filters: Any
) -> dict[str, Any]:
    """What our own network face says to the caller of another: at `path` below its version, where
    one variable at most is, an id. Raises `Refused`, `Fault`.

    The header that tells which pods a list lacks is kept in `memo`.
    """
    face, sent = context.parts.faces["network"], path.encode()
    found = face.app.find(method, b"/v2.0" + sent)
    headers = (*await context.own_headers(), (b"Content-Type", b"application/json"))
    content = b"" if body is None else msgspec.json.encode(body)
    call = Call(method, sent, urlencode(filters, doseq=True).encode(), headers, content)
    asked = Asked(
        params=dict(zip(("id",), found.segments, strict=False)),
        below=sent,
        with_project=False,
        caller=context.caller,
        version=None,
        request_id=context.request_id,
        deadline=context.deadline,
        trace=context.trace,
    )
    answer = await face.perform(found.rows[0], call, asked)
    if lost := header(answer.headers, UNAVAILABLE):
        context.memo[UNAVAILABLE] = lost
    return said_by(answer, networks_of(context).center, f"{method} {path}")
