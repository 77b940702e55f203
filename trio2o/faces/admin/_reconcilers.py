"""Reconcilers: how they stand, and a pass on demand."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from attrs import asdict

from trio2o.domain.errors import NotFound
from trio2o.message import Answer, Call
from trio2o.store import definitions
from trio2o.verbs import Context, json_answer


def _time(seconds: float) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None


def _report(name: str, context: Context) -> dict[str, Any]:
    shown: dict[str, Any] = context.parts.passes.report(name)
    return shown | {"last": _time(shown["last"]), "next": _time(shown["next"])}


async def list_reconcilers(call: Call, context: Context) -> Answer:
    """Last pass, what it found, when the next is; and what an operator has to decide."""
    listed = [_report(name, context) for name in context.parts.passes.names()]
    open_questions = await context.store.read(definitions.problems)
    names = {pod.pod_id: pod.pod_name for pod in context.pods.all}
    shown = [{**asdict(one), "pod_name": names.get(one.pod_id, "")} for one in open_questions]
    return json_answer(200, {"reconcilers": listed, "problems": shown})


async def show_reconciler(call: Call, context: Context) -> Answer:
    return json_answer(200, {"reconciler": _report(_name(context), context)})


async def run_reconciler(call: Call, context: Context) -> Answer:
    """A pass now; the answer comes when it has ended."""
    name = _name(context)
    await context.parts.passes.run(name)
    return json_answer(200, {"reconciler": _report(name, context)})


def _name(context: Context) -> str:
    name = context.params["id"]
    if name not in context.parts.passes.names():
        raise NotFound("Reconciler not found")
    return name
