"""External events: each goes to the pod of its server, and the answers come back in order."""

from typing import Any

import msgspec
from msgspec.structs import replace

from trio2o.domain.errors import Fault
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.faces.resources import SERVER
from trio2o.message import Answer, Call
from trio2o.verbs import Context, ask_any, below, decode, rewrite

Event = dict[str, Any]


async def external_events(call: Call, context: Context) -> Answer:
    """200 if all were taken, 207 if some were not (Nova's own rule).

    An event of a server that no pod has goes along to some pod, which says 404 of it.
    """
    body = decode(call.body)
    events = body.get("events") if isinstance(body, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        return await ask_any(SERVER, "", call, context)
    owners = [await _owner(event, context) for event in events]
    known = [pod for pod in owners if pod is not None]
    if not known:
        return await ask_any(SERVER, "", call, context)
    parts: dict[Pod, list[int]] = {}
    for index, owner in enumerate(owners):
        parts.setdefault(owner or known[0], []).append(index)
    answers = await together(
        _send(pod, [events[index] for index in indexes], call, context)
        for pod, indexes in parts.items()
    )
    told: list[Event] = [{} for _ in events]
    first: tuple[Pod, Answer] | None = None
    for (pod, indexes), answer in zip(parts.items(), answers, strict=True):
        if isinstance(answer, Answer) and not answer.ok and answer.status < 500:
            return rewrite(answer, context, pod)  # the same is wrong with all of them
        results = _results(answer, [events[index] for index in indexes])
        for index, result in zip(indexes, results, strict=True):
            told[index] = result
        if isinstance(answer, Answer) and answer.ok:
            first = first or (pod, answer)
    if first is None:
        failed = next(answer for answer in answers if answer is not None)
        if isinstance(failed, Fault):
            raise failed
        return rewrite(failed, context, next(iter(parts)))
    status = 200 if all(event.get("code") == 200 for event in told) else 207
    whole = replace(first[1], status=status, body=msgspec.json.encode({"events": told}))
    return rewrite(whole, context, first[0])


async def _owner(event: Event, context: Context) -> Pod | None:
    id = event.get("server_uuid")
    if not isinstance(id, str):
        return None
    try:
        route = await context.routes.find(SERVER, id, context.caller, context.deadline)
    except Fault:
        return None
    return context.pods.get(route.pod_id) if route else None


async def _send(pod: Pod, events: list[Event], call: Call, context: Context) -> Answer | Fault:
    body = msgspec.json.encode({"events": events})
    try:
        return await context.send(pod, replace(below(call, context), body=body))
    except Fault as fault:
        return fault


def _results(answer: Answer | Fault, events: list[Event]) -> list[Event]:
    """What a pod says of each event; of a pod that failed, that it did."""
    if isinstance(answer, Answer) and answer.ok and isinstance(answer.body, bytes):
        try:
            results = msgspec.json.decode(answer.body, type=dict[str, list[Event]])["events"]
        except (msgspec.MsgspecError, KeyError):
            results = []
        if len(results) == len(events):
            return results
    return [event | {"status": "failed", "code": 503} for event in events]
