"""Place: choose a pod for something new, send it there, record where it is."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from attrs import evolve, frozen
from msgspec.structs import replace

from trio2o.domain.errors import BadRequest, PodUnavailable, Unavailable
from trio2o.domain.resources import Resource
from trio2o.domain.tasks import together
from trio2o.domain.values import Binding, Pod, Route, Zone
from trio2o.message import Answer, Body, Call
from trio2o.routes import details_of
from trio2o.scheduling import (
    Candidate,
    Conflicting,
    NoPod,
    NoSuchZone,
    Pin,
    Rules,
    Wish,
    fitting,
    groups,
    ranked,
)
from trio2o.store import bindings as binding_rows
from trio2o.verbs._context import Context, below
from trio2o.verbs._refs import Ref, decode, mentioned, pins, value_at
from trio2o.verbs._rewrite import Fields, fields_of, raw, rewrite

Prepare = Callable[[bytes, Pod, Context], Awaitable[bytes]]
"""A face's own change to a body that is about to go to a pod."""

More = Callable[[Any, Context], Awaitable[tuple[Pin, ...]]]
"""What else than ids in a body pins the pod."""

Lacking = Callable[[Any, Context], Awaitable[frozenset[str]]]
"""The ids of pods that cannot take what a body asks for."""


@frozen
class Needs:
    """What a body asks of a pod. `tags` are those that `by` wants; `room` tells whether a pod has
    room for it in an AZ (None: in any), `free` which part of a pod is free. They answer None where
    the pod cannot be asked."""

    tags: frozenset[str] = frozenset()
    by: str = ""
    room: Callable[[Pod, Zone | None], Awaitable[bool | None]] | None = None
    free: Callable[[Pod], Awaitable[float | None]] | None = None


@frozen
class Place:
    """Make something new in the pod that its references pin, else in the project's pod, else in
    the best that has room.

    `zone` is the key of the AZ in the body's object (a name, or a list of names). `prepare` is
    a face's own change to the body, `lacking` tells which pods cannot take it, `more` what else
    than ids pins it, `needs` what it asks of a pod. `no_zone` is the API's sentence for an unknown
    AZ. Where `send_zone` is off the pod is told no AZ at all: the name means something else to it.
    `follows`: without an AZ it goes to the project's pod where the project has none in the default
    AZ, and in a pod of several AZs to the one that the project uses.
    """

    makes: Resource
    refs: tuple[Ref, ...] = ()
    zone: str = ""
    send_zone: bool = True
    no_zone: str = "The requested availability zone is not available"
    prepare: Prepare | None = None
    lacking: Lacking | None = None
    more: More | None = None
    needs: Callable[[Any, Context], Awaitable[Needs]] | None = None
    follows: bool = False

    async def __call__(self, call: Call, context: Context) -> Answer:
        body = decode(call.body)
        found = await pins(mentioned(body, self.refs), context)
        if self.more is not None:
            found = (*found, *await self.more(body, context))
        named, rest = self._asked(body)
        owner = self._of_owner(body, context)
        zone = named or ("" if found else self._usual_zone(owner))
        order = await self._order(body, zone, found, context, owner)
        pinned = bool(found) or order[0].is_named(zone)
        tell = bool(zone) or (self.follows and not found)
        last: Answer | PodUnavailable | None = None
        # the next is tried only where nothing was done, and nothing says that it must be this one
        for chosen in order[:1] if pinned else order:
            own = _zone_in(chosen, zone, owner)
            pod = await bind(owner, chosen, own.name, pinned=pinned)
            own = pod.zone(own.name) or pod.azs[0]
            try:
                sent = await self._body(call.body, pod, own, (named, rest, tell), context)
                last = await context.send(pod, replace(below(call, context), body=sent))
            except PodUnavailable as refusal:
                last = refusal
                continue
            if last.status != 503:
                break
        assert last is not None
        if isinstance(last, PodUnavailable):
            raise last
        if last.ok and isinstance(last.body, bytes):
            await context.routes.learn(self._made(last.body, pod, context))
        return rewrite(last, context, pod)

    def _of_owner(self, body: Any, context: Context) -> Context:
        """The context of the project whose pods count: an admin may make a thing for another."""
        wheres, names = ((self.makes.key,), (self.makes.rows, "*")), self.makes.project
        told = (value_at(body, (*where, name)) for where in wheres for name in names)
        owner = next(filter(None, told), None) if context.caller.is_admin else None
        if not isinstance(owner, str):
            return context
        return replace(context, caller=evolve(context.caller, project_id=owner))

    def _usual_zone(self, context: Context) -> str:
        """The AZ of what names none; '' where the project has pods, and none in the default AZ."""
        bound = context.pods.bindings(context.caller.project_id)
        default = context.surface.default_zone
        return "" if self.follows and bound and default not in bound else default

    def _asked(self, body: Any) -> tuple[str | None, str]:
        """The AZ that the body names (None: it names none) and what an admin put behind it."""
        if not self.zone:
            return None, ""
        value = value_at(body, (self.makes.key, self.zone))
        if value is None:
            value = value_at(body, (self.makes.rows, "*", self.zone))
        if isinstance(value, list):
            value = value[0] if value else None
        if not isinstance(value, str) or not value:
            return None, ""
        name, colon, rest = value.partition(":")  # zone:host:node
        return name, colon + rest

    async def _order(
        self, body: Any, zone: str, found: tuple[Pin, ...], context: Context, owner: Context
    ) -> list[Pod]:
        """The pods that may take it, the best first. Raises `BadRequest` or `Unavailable`."""
        rules = context.surface.rules
        needs = await self.needs(body, context) if self.needs else Needs()
        try:
            wish = Wish(zone, found, needs.tags, needs.by)
            fit = fitting(candidates(owner, zone), wish, rules)
        except NoSuchZone as refusal:
            message = self.no_zone.format(zone=refusal.zone)
            raise BadRequest(message, kind="AvailabilityZoneNotFound") from None
        except Conflicting as refusal:
            raise BadRequest(str(refusal)) from None
        except NoPod as refusal:
            raise Unavailable(str(refusal)) from None
        lacking = await self.lacking(body, context) if self.lacking else frozenset()
        # where nothing else is left, the refusal of what is lacking says more than "no pod"
        fit = [one for one in fit if one.pod.pod_id not in lacking] or fit
        return [one.pod for one in await with_room(fit, needs, rules, zone)]

    async def _body(
        self, body: Body, pod: Pod, own: Zone, asked: tuple[str | None, str, bool], context: Context
    ) -> Body:
        """The body as the pod gets it."""
        named, rest, tell = asked
        if not isinstance(body, bytes):
            return body
        if named is not None:
            body = self._with_zone(body, own if named else None, rest)
        elif tell and self.zone and self.send_zone and len(pod.azs) > 1:
            body = self._with_zone(body, own, "", add=True)
        return body if self.prepare is None else await self.prepare(body, pod, context)

    def _with_zone(self, body: bytes, own: Zone | None, rest: str, *, add: bool = False) -> bytes:
        """The body with the pod's own name of its AZ, or without one."""

        def change(fields: Fields) -> None:
            if self.zone not in fields and not add:
                return
            was_list = bytes(fields.get(self.zone, b"")).lstrip()[:1] == b"["
            name = (own.own(self.makes.zone_service) if own else "") + rest
            if not name or not self.send_zone:
                fields.pop(self.zone, None)
            else:
                fields[self.zone] = raw([name] if was_list else name)

        return edit(body, self.makes, change)

    def _made(self, body: bytes, pod: Pod, context: Context) -> list[Route]:
        """Routes of what the pod says it made: one, or (Neutron's bulk create) several."""
        try:
            document = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError:
            return []
        made = document.get(self.makes.key) or document.get(self.makes.rows)
        return [
            Route(
                self.makes.type,
                item["id"],
                pod.pod_id,
                item["id"],
                project := next(
                    (item[key] for key in self.makes.project if item.get(key)),
                    context.caller.project_id,
                ),
                details=self._details(item, project, context),
            )
            for item in (made if isinstance(made, list) else [made])
            if isinstance(item, dict)
            and isinstance(item.get("id"), str)
            and self.makes.well_formed(item["id"])
        ]

    def _details(self, item: dict[str, Any], project: str, context: Context) -> str:
        """Of what was made just now; more is learned when it is shown."""
        now = datetime.fromtimestamp(context.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        caller = context.caller
        known = {"created": now, "tenant_id": project, "user_id": caller.user_id, **item}
        return details_of(self.makes, known)


def edit(body: bytes, resource: Resource, change: Callable[[Fields], None]) -> bytes:
    """The body with the members of its object (or objects) changed, all else as it was written."""
    outer = fields_of(body)

    def changed(value: msgspec.Raw) -> msgspec.Raw:
        inner = fields_of(bytes(value))
        change(inner)
        return raw(inner)

    if resource.key in outer:
        outer[resource.key] = changed(outer[resource.key])
    elif resource.rows in outer:
        items = msgspec.json.decode(outer[resource.rows], type=list[msgspec.Raw])
        outer[resource.rows] = raw([changed(item) for item in items])
    return msgspec.json.encode(outer)


def edit_member(body: bytes, key: str, changes: Mapping[str, msgspec.Raw | None]) -> bytes:
    """The body with members of one of its objects set, or taken out (None)."""
    outer = fields_of(body)
    inner = fields_of(bytes(outer[key]))
    for name, value in changes.items():
        if value is None:
            inner.pop(name, None)
        else:
            inner[name] = value
    outer[key] = raw(inner) if inner else raw(None)
    return msgspec.json.encode(outer)


def candidates(context: Context, zone: str) -> list[Candidate]:
    """The pods that have this face's service, as they stand for the caller's project and an AZ."""
    service = context.surface.service
    bound: dict[str, str] = {}
    for binding in context.pods.bindings(context.caller.project_id).values():
        pod = context.pods.get(binding.pod_id)
        meant = pod.zone(zone) if pod and zone else None
        if not zone or (meant is not None and meant.name == binding.az_name):
            since = bound.get(binding.pod_id, binding.created_at)
            bound[binding.pod_id] = min(since, binding.created_at)
    return [
        Candidate(pod, not context.pods.is_down(pod, service), bound.get(pod.pod_id, ""))
        for pod in context.pods.serving(service)
    ]


def _zone_in(pod: Pod, zone: str, context: Context) -> Zone:
    """The AZ of a pod in which something is made: the one asked for, else the one that the
    project uses there longest, else the pod's first."""
    if meant := pod.zone(zone):
        return meant
    bindings = context.pods.bindings(context.caller.project_id).values()
    for binding in sorted(bindings, key=lambda binding: binding.created_at):
        if binding.pod_id == pod.pod_id and (used := pod.zone(binding.az_name)):
            return used
    return pod.azs[0]


async def with_room(
    candidates: Sequence[Candidate], needs: Needs, rules: Rules, zone: str
) -> Sequence[Candidate]:
    """The candidates in their order, without those that say they have no room in the AZ.

    Who is alone is not asked, nor are pods that the project does not use while one that it uses
    has room. If none has room the order stands: what cannot be placed ends in ERROR, as in a cloud.
    """
    if len(candidates) < 2:
        return candidates
    order: list[Candidate] = []
    full: set[str] = set()
    enough = False
    for group in groups(candidates, rules):
        if not enough:
            group = await _measured(group, needs, rules, zone, full)
            enough = any(one.pod.pod_id not in full for one in group)
        order += ranked(group, rules)
    return [one for one in order if one.pod.pod_id not in full] or order


async def _measured(
    group: Sequence[Candidate], needs: Needs, rules: Rules, zone: str, full: set[str]
) -> list[Candidate]:
    """The candidates with what is free in them; those that have no room are added to `full`."""

    async def measure(one: Candidate) -> Candidate:
        room = needs.room if "room" in rules.filters else None
        free = needs.free if rules.free and len(group) > 1 else None
        fits, share = await together(
            (_told(room, one.pod, one.pod.zone(zone)), _told(free, one.pod))
        )
        if fits is False:
            full.add(one.pod.pod_id)
        return evolve(one, free=share)

    return await together(measure(one) for one in group)


async def _told(question: Callable[..., Awaitable[Any]] | None, *about: Any) -> Any:
    return await question(*about) if question is not None else None


async def bind(context: Context, pod: Pod, zone: str, *, pinned: bool) -> Pod:
    """Record that the project uses the pod for an AZ, before anything is sent to it.

    Of two first calls at once one wins, and both use its pod; what is pinned goes where it must,
    and leaves a binding that holds as it is.
    """
    project = context.caller.project_id
    if not project:  # nothing to bind, and the pod has its own words for such a token
        return pod
    held = context.pods.bindings(project).get(zone)
    if held is not None and (pinned or held.pod_id == pod.pod_id):
        return pod
    now = datetime.fromtimestamp(context.now(), UTC).isoformat(timespec="microseconds")
    wanted = Binding(str(uuid.uuid4()), project, pod.pod_id, zone, now)
    # a pod that was bound and takes nothing new is left: the project moves on
    record = binding_rows.bind if held is None else binding_rows.rebind
    binding = await context.store.write(lambda connection: record(connection, wanted))
    context.pods.note(binding)
    return pod if pinned else context.pods.get(binding.pod_id) or pod
