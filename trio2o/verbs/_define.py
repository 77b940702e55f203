"""Define: what must be the same everywhere is changed in every pod, or in none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from attrs import evolve, frozen
from txaio.tx import make_logger

from trio2o.domain.errors import Fault, PodUnavailable, Unavailable
from trio2o.domain.resources import Resource
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call
from trio2o.verbs._context import Context, below
from trio2o.verbs._rewrite import rewrite

log = make_logger()

Prepare = Callable[[bytes, Context], Awaitable[bytes]]


@frozen
class Define:
    """Send a change to every pod. A pod that is down refuses it for all, before anything is done.

    One pod goes first: its refusal is the answer. Where `makes` is set, what was made is deleted
    again if a later pod refuses. A pod that knows nothing of the thing (404) is passed over if
    another does.
    """

    makes: Resource | None = None
    prepare: Prepare | None = None

    async def __call__(self, call: Call, context: Context) -> Answer:
        pods = all_up(context)
        if self.prepare is not None and isinstance(call.body, bytes):
            call = evolve(call, body=await self.prepare(call.body, context))
        done: list[tuple[Pod, Answer]] = []
        absent: tuple[Pod, Answer] | None = None
        for pod in pods:
            try:
                answer = await context.send(pod, below(call, context))
            except Fault:
                # a pod that did not answer may have done it all the same
                made = [(pod, done[0][1])] if done else []
                await self._undo([*done, *made], call, context)
                raise
            if answer.ok:
                done.append((pod, answer))
            elif answer.status == 404 and self.makes is None:
                absent = absent or (pod, answer)
            else:
                await self._undo(done, call, context)
                return rewrite(answer, context, pod)
        pod, answer = done[0] if done else absent or (pods[0], Answer(500))
        return rewrite(answer, context, pod)

    async def _undo(self, done: Sequence[tuple[Pod, Answer]], call: Call, context: Context) -> None:
        """Delete what was made in the pods that took it."""
        if self.makes is None:
            return
        for pod, answer in done:
            if (id := made_id(answer, self.makes)) is None:
                continue
            path = self.makes.path(id).encode()
            undo = evolve(below(call, context), method="DELETE", path=path, body=b"")
            try:
                result = await context.send(pod, undo)
            except Fault as fault:
                result = Answer(fault.status)
            if not result.ok and result.status != 404:
                log.error(
                    "{type} {id} was left in pod {pod}: {status} [{request_id}]",
                    type=self.makes.type,
                    id=id,
                    pod=pod.pod_name,
                    status=result.status,
                    request_id=context.request_id,
                )


def made_id(answer: Answer, resource: Resource) -> str | None:
    """The id of what an answer says was made; None if it says none."""
    assert isinstance(answer.body, bytes)
    try:
        id = msgspec.json.decode(answer.body, type=dict[str, dict[str, Any]])[resource.key]["id"]
    except (msgspec.MsgspecError, KeyError):
        return None
    return id if isinstance(id, str) else None


@frozen
class Anywhere:
    """Show what is the same everywhere: ask all pods, the first that has it answers."""

    resource: Resource
    param: str = "id"

    async def __call__(self, call: Call, context: Context) -> Answer:
        service = context.surface.service
        pods = context.pods.serving(service)
        up = [pod for pod in pods if not context.pods.is_down(pod, service)]
        last: tuple[Pod, Answer] | None = None
        for pod in up:
            try:
                answer = await context.send(pod, below(call, context))
            except PodUnavailable:
                continue
            if answer.ok or answer.status not in (404, 500, 502, 503, 504):
                return rewrite(answer, context, pod)
            last = last or (pod, answer)
        if last is not None:
            return rewrite(last[1], context, last[0])
        if len(up) < len(pods) or not pods:
            raise Unavailable("No pod can be asked at the moment.")
        raise self.resource.missing(context.params.get(self.param, ""))


def all_of(context: Context) -> tuple[Pod, ...]:
    """Every pod that has the service. Raises `Unavailable` if there is none."""
    pods = context.pods.serving(context.surface.service)
    if not pods:
        raise Unavailable("There is no pod yet.")
    return pods


def all_up(context: Context) -> tuple[Pod, ...]:
    """Every pod that has the service. Raises `PodUnavailable` if one is down, `Unavailable`."""
    pods = all_of(context)
    for pod in pods:
        if context.pods.is_down(pod, context.surface.service):
            raise PodUnavailable(pod.pod_name, "it is known to be down")
    return pods
