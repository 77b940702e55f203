"""Forward: find the pod that owns the id, and pass the call there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from attrs import frozen
from msgspec.structs import replace

from trio2o.domain.errors import PodUnavailable
from trio2o.domain.resources import Resource, split_number
from trio2o.domain.values import Pod, Route
from trio2o.domain.versions import Version
from trio2o.message import Answer, Call, header, with_header
from trio2o.verbs._context import Context, Verb, below
from trio2o.verbs._refs import Ref, decode, mentioned, pins
from trio2o.verbs._rewrite import Rewriter, rewrite, rewritten


@frozen
class Forward:
    """Pass a call to the pod of the thing in its path.

    `param` names the id in the path. `refs` are what the body names besides: it must be in the
    same pod (400 that names both), else nothing is sent. `id_of` finds the id where it is not
    in the path; `prepare` is a face's own change to the body. `makes` are ids in the answer of
    what is new in this pod, or new to the caller's project. `copies`: other pods may have a thing
    of the same id, so that one's 404 is not the last word.
    """

    resource: Resource
    param: str = "id"
    refs: tuple[Ref, ...] = ()
    id_of: Callable[[Call], str] | None = None
    prepare: Callable[[bytes, Pod, Context], Awaitable[bytes]] | None = None
    makes: tuple[Ref, ...] = ()
    copies: bool = False

    async def __call__(self, call: Call, context: Context) -> Answer:
        id = self.id_of(call) if self.id_of else context.params[self.param]
        route = await context.routes.find(self.resource, id, context.caller, context.deadline)
        pod = context.pods.get(route.pod_id) if route else None
        if route is None or pod is None:
            return await ask_any(self.resource, id, call, context)
        if self.refs:
            own = Ref("", self.resource)
            await pins([(own, id), *mentioned(decode(call.body), self.refs)], context)
        if route.deleted_at and context.pods.is_down(pod, self.resource.service):
            raise self.resource.missing(id)
        if self.prepare is not None and isinstance(call.body, bytes) and call.body:
            call = replace(call, body=await self.prepare(call.body, pod, context))
        route, pod, answer = await self._send(call, route, pod, context)
        if self.copies and answer.status == 404:
            pod, answer = await self._copy(pod, answer, call, context)
        await self._settle(answer, route, context)
        if self.makes and answer.ok and isinstance(answer.body, bytes):
            project = context.caller.project_id
            await context.routes.learn(
                [
                    Route(ref.resource.type, id, pod.pod_id, id, project)
                    for ref, id in mentioned(decode(answer.body), self.makes)
                ]
            )
        return rewrite(answer, context, pod)

    async def _send(
        self, call: Call, route: Route, pod: Pod, context: Context
    ) -> tuple[Route, Pod, Answer]:
        """The pod's answer. Where it has nothing, or is down, another process may know better
        by now where the thing is: nothing was done yet, so that pod is asked."""
        answer, fault = None, None
        try:
            answer = await context.send(pod, below(call, context))
        except PodUnavailable as error:
            fault = error
        if answer is not None and answer.status != 404:
            return route, pod, answer
        now = await context.routes.again(route)
        other = context.pods.get(now.pod_id) if now and not now.deleted_at else None
        if now is not None and other is not None and other != pod:
            return now, other, await context.send(other, below(call, context))
        if answer is not None:
            return route, pod, answer
        if (now or route).deleted_at:
            raise self.resource.missing(route.top_id)
        assert fault is not None
        raise fault

    async def _copy(
        self, pod: Pod, absent: Answer, call: Call, context: Context
    ) -> tuple[Pod, Answer]:
        """What another pod says that has the thing too; `absent` if none has."""
        service = self.resource.service
        others = [p for p in context.pods.serving(service) if p != pod]
        others = [p for p in others if not context.pods.is_down(p, service)]
        if not others:
            return pod, absent
        other, told = await ask_in_turn(others, call, context)
        return (pod, absent) if told.status == 404 else (other, told)

    async def _settle(self, answer: Answer, route: Route, context: Context) -> None:
        """Leave a tombstone where the pod says that the thing itself is gone."""
        if answer.status != 404 and context.operation.method != "DELETE":
            return
        if context.below != self.resource.path(route.top_id).encode():
            return  # the call was not for the thing itself
        gone = answer.ok and context.operation.method == "DELETE" and self.resource.deleted_at_once
        # to another project a thing that is there is a 404 too
        owner = context.caller.project_id == route.project_id or context.caller.is_admin
        if gone or (answer.status == 404 and owner):
            await context.routes.forget(route)


@frozen
class Numbered:
    """Pass a call to the pod that a qualified number names, with the pod's own number."""

    resource: Resource
    param: str = "id"

    async def __call__(self, call: Call, context: Context) -> Answer:
        text = context.params[self.param]
        found = split_number(text)
        pod = next((p for p in context.pods.all if found and p.number == found[0]), None)
        if found is None or pod is None:
            return await ask_any(self.resource, text, call, context)
        sent = below(call, context)
        path = sent.path.replace(b"/" + text.encode(), b"/%d" % found[1], 1)
        return rewrite(await context.send(pod, replace(sent, path=path)), context, pod)


@frozen
class Since:
    """One verb from a microversion on, and another before."""

    version: Version
    newer: Verb
    older: Verb

    def __call__(self, call: Call, context: Context) -> Awaitable[Answer]:
        newer = context.version is not None and context.version >= self.version
        return (self.newer if newer else self.older)(call, context)


@frozen
class Shared:
    """Pass a call to the one Glance that all pods share."""

    async def __call__(self, call: Call, context: Context) -> Answer:
        sent = replace(below(call, context), path=call.path)
        if (coding := header(call.headers, b"accept-encoding")) is not None:
            sent = replace(sent, headers=with_header(sent.headers, b"Accept-Encoding", coding))
        answer = await context.send_to_images(sent)
        return rewritten(answer, Rewriter.of(context, context.pods.images().prefix), context)


async def ask_in_turn(pods: Sequence[Pod], call: Call, context: Context) -> tuple[Pod, Answer]:
    """The first answer that is no 404, which did nothing, else the first pod's.

    Pods behind the first are left out while they are down. Raises as `Pods.send`.
    """
    first = pods[0], await context.send(pods[0], below(call, context))
    if first[1].status != 404:
        return first
    for pod in pods[1:]:
        if context.pods.is_down(pod, context.surface.service):
            continue
        answer = await context.send(pod, below(call, context))
        if answer.status != 404:
            return pod, answer
    return first


async def ask_any(resource: Resource, id: str, call: Call, context: Context) -> Answer:
    """What a cloud says to a call for an id that it does not know, in its own words.

    All pods were asked for the id and none has it, so whichever gets the call refuses it.
    """
    for pod in context.pods.serving(resource.service):
        if not context.pods.is_down(pod, resource.service):
            return rewrite(await context.send(pod, below(call, context)), context, pod)
    raise resource.missing(id)
