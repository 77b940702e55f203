"""`/healthcheck`, as oslo.middleware answers it, on every face."""

from trio2o.message import Answer, Call, header
from trio2o.verbs import Context, Operation, Reply, json_answer, rows

_TEXT = ((b"Content-Type", b"text/plain; charset=UTF-8"),)


async def healthy(call: Call, context: Context) -> Answer:
    """200 OK (204 to HEAD), or 503 with the reason why no calls should be sent here."""
    reason: str = context.parts.health()
    if call.method == "HEAD":
        return Answer(503 if reason else 204, _TEXT)
    status, word = (503, reason) if reason else (200, "OK")
    if b"application/json" in (header(call.headers, b"accept") or b""):
        return json_answer(status, {"detailed": False, "reasons": [word]})
    return Answer(status, _TEXT, word.encode())


HEALTH: tuple[Operation, ...] = rows(Reply(healthy), "GET /healthcheck", open=True)
"""For faces whose API has no such row of its own."""
