"""Aggregates as Nova shows them: hosts of any pod, and for each pod one that carries its AZ."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from attrs import frozen
from msgspec.structs import replace

from trio2o.definitions import Definitions, content
from trio2o.domain.errors import BadRequest, Conflict, Fault, NotFound, PodUnavailable, Unavailable
from trio2o.domain.values import Definition, Pod
from trio2o.domain.versions import Version
from trio2o.faces.compute._kinds import SERVICE
from trio2o.message import Answer, Call
from trio2o.verbs import Context, all_of, below, decode, json_answer, pod_naming, rewrite, value_at

HAS_UUID = Version(2, 41)
ZONE = "availability_zone"

FIRST = 1_000_000
"""Ids below are of the pods' own aggregates, which carry their AZs."""

NOWHERE = b"0"
"""No pod has an aggregate of this number: it says only what is wrong with the rest of a call."""

_AGGREGATE = re.compile(rb"ggregate 0\b")

Document = dict[str, Any]


def _definitions(context: Context) -> Definitions:
    return context.definitions["aggregate"]


def _of_pod(pod: Pod, context: Context) -> Document:
    """The aggregate that is made with a pod."""
    document: Document = {
        "name": f"ag_{pod.pod_name}",
        "metadata": {ZONE: pod.az_name},
        "hosts": [],
        "created_at": pod.created_at.partition("+")[0],
        "updated_at": None,
    }
    return _shown(pod.number, pod.pod_id, document, context)


def _shown(number: int, id: str, document: Document, context: Context) -> Document:
    shown: Document = {
        "id": number,
        "name": document["name"],
        ZONE: document["metadata"].get(ZONE),
        "metadata": document["metadata"],
        "hosts": [one["name"] for one in document["hosts"]],
        "created_at": document["created_at"],
        "updated_at": document["updated_at"],
        "deleted_at": None,
        "deleted": False,
    }
    if context.version and context.version >= HAS_UUID:
        shown["uuid"] = id
    return shown


def _one(definition: Definition, context: Context) -> Document:
    return _shown(FIRST + definition.number, definition.key, content(definition.document), context)


async def list_aggregates(call: Call, context: Context) -> Answer:
    """Those of the pods, then those that were made."""
    listed = [_of_pod(pod, context) for pod in context.pods.all]
    listed += [_one(one, context) for one in await _definitions(context).all()]
    return json_answer(200, {"aggregates": listed})


async def show_aggregate(call: Call, context: Context) -> Answer:
    number = context.params["id"]
    if not re.fullmatch(r"-?\d+", number):
        raise BadRequest("Invalid input received: id must be an integer")
    if pod := _pod(context):
        return json_answer(200, {"aggregate": _of_pod(pod, context)})
    return json_answer(200, {"aggregate": _one(await _find(context), context)})


def _pod(context: Context) -> Pod | None:
    """The pod whose own aggregate the path names."""
    number = context.params["id"]
    return next((pod for pod in context.pods.all if str(pod.number) == number), None)


async def _find(context: Context) -> Definition:
    """The aggregate of the path. Raises `NotFound`."""
    number = context.params["id"]
    for one in await _definitions(context).all():
        if str(FIRST + one.number) == number:
            return one
    raise NotFound(f"Aggregate {number} could not be found.")


class _Said(Exception):
    """What a pod says against a call."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@frozen
class Changing:
    """A change of aggregates, which a pod first looks over: the caller's rights, and the body."""

    change: Callable[[Call, Context], Awaitable[Answer]]

    async def __call__(self, call: Call, context: Context) -> Answer:
        try:
            return await self.change(call, context)
        except _Said as said:
            return said.answer


async def _check(
    call: Call, context: Context, pods: Iterable[Pod] = (), *, as_it_is: bool = False
) -> None:
    """Have the first of these pods that answers (else any) say what is wrong with a call, were it
    not for the aggregate that it names. Raises `_Said`, `Unavailable`.

    `as_it_is` is for what is known to be wrong, and new.
    """
    sent = below(call, context)
    method, path, number = sent.method, sent.path, context.params.get("id", "")
    if not number and not as_it_is:  # what is made has the members of what is changed
        method, path = "PUT", path + b"/" + NOWHERE
    elif number.isdecimal():
        path = path.replace(f"/{number}".encode(), b"/" + NOWHERE, 1)
    sent = replace(sent, method=method, path=path)
    for pod in [*pods] or all_of(context):
        try:
            answer = await context.send(pod, sent)
        except PodUnavailable:
            continue
        if answer.status == 404 and _AGGREGATE.search(bytes(answer.body)):  # type: ignore[arg-type]
            return
        raise _Said(rewrite(answer, context, pod))
    raise Unavailable("No pod can be asked at the moment.")


def _cannot(context: Context, what: str, why: str, kind: type[Fault] = BadRequest) -> Fault:
    return kind(f"Cannot {what} aggregate {context.params['id']}. Reason: {why}.")


def _now(context: Context) -> str:
    moment = datetime.fromtimestamp(context.now(), UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000000")


async def _check_name(name: str, context: Context) -> None:
    names = {f"ag_{pod.pod_name}" for pod in context.pods.all}
    names |= {content(one.document)["name"] for one in await _definitions(context).all()}
    if name in names:
        raise Conflict(f"Aggregate {name} already exists.")


@Changing
async def create_aggregate(call: Call, context: Context) -> Answer:
    """It is nowhere yet: it comes to a pod with the first host of it."""
    wish = value_at(decode(call.body), ("aggregate",))
    name: Any = wish.get("name") if isinstance(wish, dict) else None
    fine = isinstance(name, str) and name and name == name.strip()
    await _check(call, context, as_it_is=not fine)
    zone = wish.get(ZONE)
    await _check_name(name, context)
    document: Document = {
        "name": name,
        "metadata": {ZONE: zone.strip()} if zone else {},
        "hosts": [],
        "created_at": _now(context),
        "updated_at": None,
    }
    key = str(uuid.uuid4())
    await _definitions(context).define(key, lambda old: document)
    shown = await _told(key, context)
    del shown["hosts"], shown["metadata"]
    return json_answer(200, {"aggregate": shown})


@Changing
async def update_aggregate(call: Call, context: Context) -> Answer:
    """Its name, or its AZ."""
    await _check(call, context)
    wish = value_at(decode(call.body), ("aggregate",))
    key = await _key(context, "update")
    name = wish.get("name", "").strip()
    found = await _definitions(context).find(key)
    if found and name and name != content(found.document)["name"]:
        await _check_name(name, context)

    def change(document: Document) -> None:
        document["name"] = name or document["name"]
        if ZONE in wish:
            _set_zone(document, wish[ZONE], context, "update")
        document["updated_at"] = _now(context)

    return await _change(key, change, context)


@Changing
async def set_metadata(call: Call, context: Context) -> Answer:
    """A member that is null is taken out."""
    await _check(call, context)
    wish = value_at(decode(call.body), ("set_metadata", "metadata"))
    key = await _key(context, "update metadata of")

    def change(document: Document) -> None:
        if ZONE in wish:
            _set_zone(document, wish[ZONE], context, "update metadata of")
        merged = document["metadata"] | wish
        document["metadata"] = {name: value for name, value in merged.items() if value is not None}
        document["updated_at"] = _now(context)

    return await _change(key, change, context)


@Changing
async def delete_aggregate(call: Call, context: Context) -> Answer:
    await _check(call, context)
    what = "remove host from"  # Nova's words, whatever is meant
    key = await _key(context, what)

    def change(document: Document | None) -> None:
        if document is not None and document["hosts"]:
            raise _cannot(context, what, "Host aggregate is not empty")

    refused = await _definitions(context).define(key, change)
    return _of_top(refused, context) if refused else Answer(200)


@Changing
async def add_host(call: Call, context: Context) -> Answer:
    """The host's pod is told, and has the aggregate from then on."""
    name, found = await _host(call, context, "add_host")
    key = await _key(context, "add host to", Conflict)
    assert found is not None  # else the pods' words were the answer
    pod, host = found

    def change(document: Document) -> None:
        if any((one["pod"], one["host"]) == (pod.pod_id, host) for one in document["hosts"]):
            raise Conflict(f"Aggregate {context.params['id']} already has host {name}.")
        new = {"pod": pod.pod_id, "host": host, "name": name}
        _check_zone(document, [new], context, "add host to", Conflict)
        document["hosts"].append(new)

    return await _change(key, change, context)


@Changing
async def remove_host(call: Call, context: Context) -> Answer:
    name, found = await _host(call, context, "remove_host")
    key = await _key(context, "remove host from", Conflict)
    gone = (found[0].pod_id, found[1]) if found else None

    def change(document: Document) -> None:
        left = [one for one in document["hosts"] if (one["pod"], one["host"]) != gone]
        if len(left) == len(document["hosts"]):
            number = context.params["id"]
            raise NotFound(f"Cannot remove host {name} in aggregate {number}")
        document["hosts"] = left

    return await _change(key, change, context)


@Changing
async def cache_images(call: Call, context: Context) -> Answer:
    """Each pod of which the aggregate has hosts is told."""
    await _check(call, context)
    if _pod(context):
        return Answer(202)  # it has no hosts
    definition = await _find(context)
    told = await _definitions(context).places.settled(definition.key)
    for pod_id in dict.fromkeys(one["pod"] for one in content(definition.document)["hosts"]):
        pod, one = context.pods.get(pod_id), told.get(pod_id)
        if pod is None or one is None:
            continue
        sent = below(call, context)
        old, new = f"/{context.params['id']}".encode(), f"/{one.bottom_id}".encode()
        answer = await context.send(pod, replace(sent, path=sent.path.replace(old, new, 1)))
        if not answer.ok:
            return rewrite(answer, context, pod)
    return Answer(202)


async def _key(context: Context, what: str, kind: type[Fault] = BadRequest) -> str:
    """The key of the path's aggregate. Raises `NotFound`; those of pods are changed with them."""
    if pod := _pod(context):
        raise _cannot(context, what, f"It is pod {pod.pod_name}'s own", kind)
    return (await _find(context)).key


async def _host(call: Call, context: Context, action: str) -> tuple[str, tuple[Pod, str] | None]:
    """The host that a body names, and the one pod that has it, with its name there; a pod looked
    over the call. Raises `BadRequest` if several have it."""
    name = value_at(decode(call.body), (action, "host"))
    found = None
    if isinstance(name, str):
        found = await pod_naming(name, SERVICE, ("host",), call, context)
    if found is not None:  # else a pod has its own words for a host that nobody knows
        call = replace(call, body=msgspec.json.encode({action: {"host": found[1]}}))
    await _check(call, context, [found[0]] if found else ())
    return name, found


def _set_zone(document: Document, zone: str | None, context: Context, what: str) -> None:
    if not zone:
        why = f"Aggregate {document['name']} does not support empty named availability zone"
        raise _cannot(context, what, why)
    document["metadata"][ZONE] = zone
    _check_zone(document, document["hosts"], context, what)


def _check_zone(
    document: Document,
    hosts: list[Document],
    context: Context,
    what: str,
    kind: type[Fault] = BadRequest,
) -> None:
    """A host is in the AZ of its pod, so it can be in no other by an aggregate."""
    zone = document["metadata"].get(ZONE)
    pods = [context.pods.get(one["pod"]) for one in hosts] if zone else []
    others = sorted({pod.az_name for pod in pods if pod is not None and not pod.is_in(zone)})
    if others:
        why = f"One or more hosts already in availability zone(s) {others}"
        raise _cannot(context, what, why, kind)


async def _change(key: str, change: Callable[[Document], None], context: Context) -> Answer:
    def changed(document: Document | None) -> Document | None:
        if document is not None:
            change(document)
        return document

    if refused := await _definitions(context).define(key, changed):
        return _of_top(refused, context)
    return json_answer(200, {"aggregate": await _told(key, context)})


async def _told(key: str, context: Context) -> Document:
    found = await _definitions(context).find(key)
    if found is None:  # deleted meanwhile
        raise NotFound(f"Aggregate {context.params['id']} could not be found.")
    return _one(found, context)


def _of_top(refused: Answer, context: Context) -> Answer:
    """A pod's refusal of what we told it, with the number that the aggregate has here."""
    number = context.params["id"].encode()
    body = re.sub(rb"(aggregate )\d+", rb"\g<1>" + number, bytes(refused.body))  # type: ignore[arg-type]
    return Answer(refused.status, ((b"Content-Type", b"application/json"),), body)
