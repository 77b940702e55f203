"""Reconcilers: how they stand, and a pass on demand."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from attrs import asdict

from trio2o.domain.errors import BadRequest, NotFound
from trio2o.message import Answer, Call
from trio2o.store import definitions
from trio2o.verbs import Context, json_answer


def _time(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def _report(name: str, context: Context) -> dict[str, Any]:
    shown: dict[str, Any] = context.parts.reconcilers.report(name)
    return shown | {"last": _time(shown["last"]), "next": _time(shown["next"])}


async def list_reconcilers(call: Call, context: Context) -> Answer:
    """Last pass, what it found, when the next is; what an operator has to decide; and which
    process runs them."""
    listed = [_report(name, context) for name in context.parts.reconcilers.names()]
    open_questions = await context.store.read(definitions.problems)
    names = {pod.pod_id: pod.pod_name for pod in context.pods.all}
    shown = [{**asdict(one), "pod_name": names.get(one.pod_id, "")} for one in open_questions]
    holder = context.parts.reconcilers.lease.holder
    return json_answer(200, {"reconcilers": listed, "problems": shown, "holder": holder})


async def show_reconciler(call: Call, context: Context) -> Answer:
    return json_answer(200, {"reconciler": _report(_name(context), context)})


async def run_reconciler(call: Call, context: Context) -> Answer:
    """A pass now, by the process that runs them; the answer comes when it has ended. With
    `force=true` one of networks mends what it would only tell of, and removes what the top lost."""
    name, networks = _name(context), context.parts.networks
    if parse_qs(call.query.decode("latin-1")).get("force", [""])[-1].lower() == "true":
        if name != "networks" or networks is None:
            raise BadRequest("Only passes over networks that span pods are forced.")
        await networks.consent()
    await context.parts.reconcilers.run(name, context.deadline)
    return json_answer(200, {"reconciler": _report(name, context)})


def _name(context: Context) -> str:
    name = context.params["id"]
    if name not in context.parts.reconcilers.names():
        raise NotFound("Reconciler not found")
    return name
