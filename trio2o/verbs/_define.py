"""Define: what must be the same everywhere is changed in one pod, recorded, and carried to all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec
from attrs import frozen
from msgspec.structs import replace
from txaio.tx import make_logger

from trio2o.domain.errors import Fault, PodUnavailable, Unavailable
from trio2o.domain.resources import Resource
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call, with_header
from trio2o.verbs._context import Context, below, json_answer
from trio2o.verbs._refs import decode, value_at
from trio2o.verbs._rewrite import fields_of, raw, rewrite

log = make_logger()

Prepare = Callable[[bytes, Context], Awaitable[bytes]]

Fit = Callable[[Call, str, Pod, Context], Awaitable[Call]]
"""A face's own change to a call about a definition (of this key) that is about to go to a pod."""

Show = Callable[[Answer], Answer]
"""A face's own change to what a pod shows of a definition."""


async def as_it_is(call: Call, key: str, pod: Pod, context: Context) -> Call:
    return call


def as_told(answer: Answer) -> Answer:
    return answer


@frozen
class Define:
    """Change a definition: one pod is tried, and its answer is the answer; the others follow.

    `kind` names what is defined, `param` its id in the path. `makes` is for what is new; `prepare`
    a face's own change to the body, `fit` to the call for each pod.
    """

    kind: str
    param: str = "id"
    makes: Resource | None = None
    prepare: Prepare | None = None
    fit: Fit = as_it_is
    shown: Show = as_told

    async def __call__(self, call: Call, context: Context) -> Answer:
        if self.prepare is not None and isinstance(call.body, bytes):
            call = replace(call, body=await self.prepare(call.body, context))
        made: Callable[[Answer], str] | None = None
        if self.makes is None:
            key = context.params[self.param]
        else:
            key = str(value_at(decode(call.body), (self.makes.key, "id")) or "")
            made = partial(made_id, self.makes)

        async def attempt(pod: Pod, bottom: str) -> Answer:
            sent = _at(below(call, context), key, bottom)
            return await context.send(pod, await self.fit(sent, key, pod, context))

        pod, answer = await context.definitions[self.kind].change(key, attempt, made)
        return self.shown(rewrite(answer, context, pod))


def made_id(resource: Resource, answer: Answer) -> str:
    """The id of what an answer says was made. Raises `Fault` if it says none."""
    id = value_at(decode(answer.body), (resource.key, "id"))
    if not isinstance(id, str) or not id:
        raise Fault(f"what was made is no {resource.key}")
    return id


def _at(call: Call, key: str, bottom: str) -> Call:
    """The call with a definition's id in a pod in place of the tenants'."""
    if bottom in ("", key):
        return call
    old, new = f"/{key}".encode(), f"/{quote(bottom, safe='')}".encode()
    return replace(call, path=call.path.replace(old, new, 1))


def _marked(call: Call, ids: Mapping[str, str]) -> Call:
    """The call for a list with a pod's own id as its marker, or to filter by."""
    query = parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)
    named = [(name, ids.get(v, v) if name in ("marker", "id") else v) for name, v in query]
    if named == query:
        return call
    return replace(call, query=urlencode(named).encode())


@frozen
class Defined:
    """Show a definition: a pod that has it as it should be answers."""

    kind: str
    resource: Resource
    param: str = "id"
    fit: Fit = as_it_is
    shown: Show = as_told

    async def __call__(self, call: Call, context: Context) -> Answer:
        key = context.params[self.param]
        definitions = context.definitions[self.kind]
        places = await definitions.places.holders(key)
        found = await _first(places, key, call, context, self.fit)
        if found is not None:
            return self.shown(found)
        if await definitions.find(key) is not None or not definitions.places.up():
            raise Unavailable("No pod can be asked at the moment.")
        raise self.resource.missing(key)


@frozen
class Definitive:
    """List definitions: the pod answers that has all of them as they should be.

    If there is none such that answers, what is otherwise in the best is left out. Without any pod
    the list is empty.
    """

    kind: str
    resource: Resource
    shown: Show = as_told

    async def __call__(self, call: Call, context: Context) -> Answer:
        if not context.pods.serving(context.surface.service):
            return json_answer(200, {self.resource.rows: []})
        places = context.definitions[self.kind].places
        lost: Fault = Unavailable("No pod can be asked at the moment.")
        for pod, behind in await places.readers():
            try:
                sent = _marked(below(call, context), places.ids_in(pod))
                answer = await context.send(pod, sent)
            except PodUnavailable as fault:
                lost = fault
                continue
            if answer.status >= 500 and answer.status != 501:
                lost = PodUnavailable(pod.pod_name, f"status {answer.status}")
                continue
            if answer.ok and behind:
                answer = self._without(behind, places.tops, answer)
            return self.shown(rewrite(answer, context, pod))
        raise lost

    def _without(self, behind: frozenset[str], tops: Mapping[str, str], answer: Answer) -> Answer:
        assert isinstance(answer.body, bytes)
        fields = fields_of(answer.body)
        listed = msgspec.json.decode(fields[self.resource.rows], type=list[msgspec.Raw])
        ids = [msgspec.json.decode(row).get("id", "") for row in listed]
        kept = [row for row, id in zip(listed, ids, strict=True) if tops.get(id, id) not in behind]
        fields[self.resource.rows] = raw(kept)
        return replace(answer, body=msgspec.json.encode(fields))


@frozen
class Everywhere:
    """Send a change to every pod. One that is down, or cannot show what it has, refuses it for
    all, before anything is done.

    One pod goes first: its refusal is the answer. A pod that knows nothing of the thing (404) is
    passed over if another does. Where a later one refuses or fails, those before it are given back
    what they had shown; what no GET shows (log levels) stays.
    """

    async def __call__(self, call: Call, context: Context) -> Answer:
        pods = all_up(context)
        path, query = context.below.decode("latin-1"), call.query.decode("latin-1")
        shown = await together(context.look(pod, path, query) for pod in pods)
        done: list[tuple[Pod, Any]] = []
        found: tuple[Pod, Answer] | None = None
        for pod, had in zip(pods, shown, strict=True):
            try:
                answer = await context.send(pod, below(call, context))
            except Fault:
                await _give_back(done, call, context)
                raise
            if not answer.ok and answer.status != 404:
                await _give_back(done, call, context)
                return rewrite(answer, context, pod)
            if answer.ok:
                done.append((pod, had))
            if found is None or (answer.ok and not found[1].ok):
                found = pod, answer
        assert found is not None
        return rewrite(found[1], context, found[0])


async def _give_back(pods: Sequence[tuple[Pod, Any]], call: Call, context: Context) -> None:
    """Have pods as they had shown themselves before a call."""
    asked = decode(call.body)
    # the call's own time may be what ended
    context = replace(context, deadline=context.clock.seconds() + context.surface.patience)
    for pod, had in pods:
        body: dict[str, dict[str, Any]] = {}
        for key, old in had.items() if isinstance(had, dict) else ():
            if not isinstance(old, dict):
                continue
            named = value_at(asked, (key,)) or {name: old[name] for name in old if name != "id"}
            body[key] = {name: old.get(name, told) for name, told in named.items()}
        sent = replace(below(call, context), method="PUT", body=msgspec.json.encode(body))
        sent = replace(
            sent, headers=with_header(sent.headers, b"Content-Type", b"application/json")
        )
        answer = await context.heard(pod, sent) if body else None
        if answer is None or not answer.ok:
            log.warn("pod {pod}: {path} stays changed", pod=pod.pod_name, path=call.path.decode())


@frozen
class Anywhere:
    """Show what is the same everywhere: ask all pods, the first that has it answers."""

    resource: Resource
    param: str = "id"

    async def __call__(self, call: Call, context: Context) -> Answer:
        service = context.surface.service
        pods = context.pods.serving(service)
        up = [pod for pod in pods if not context.pods.is_down(pod, service)]
        found = await _first([(pod, "") for pod in up], "", call, context)
        if found is not None:
            return found
        if len(up) < len(pods) or not pods:
            raise Unavailable("No pod can be asked at the moment.")
        raise self.resource.missing(context.params.get(self.param, ""))


async def _first(
    places: Sequence[tuple[Pod, str]], key: str, call: Call, context: Context, fit: Fit = as_it_is
) -> Answer | None:
    """The answer of the first of these pods that has the thing; None if none can be asked."""
    last: tuple[Pod, Answer] | None = None
    for pod, bottom in places:
        try:
            sent = await fit(_at(below(call, context), key, bottom), key, pod, context)
            answer = await context.send(pod, sent)
        except PodUnavailable:
            continue
        if answer.ok or answer.status not in (404, 500, 502, 503, 504):
            return rewrite(answer, context, pod)
        last = last or (pod, answer)
    return rewrite(last[1], context, last[0]) if last else None


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
