"""Place: choose a pod for something new, send it there, record where it is."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import msgspec
from attrs import evolve, frozen

from trio2o.domain.errors import BadRequest, Unavailable
from trio2o.domain.resources import Resource
from trio2o.domain.values import Binding, Pod, Route
from trio2o.message import Answer, Call
from trio2o.routes import details_of
from trio2o.scheduling import Candidate, Conflicting, NoPod, NoSuchZone, Pin, Wish, choose
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
class Place:
    """Make something new in the pod that its references pin, else in the project's pod.

    `zone` is the key of the AZ in the body's object (a name, or a list of names). `prepare` is
    a face's own change to the body, `lacking` tells which pods cannot take it, `more` what else
    than ids pins it. `no_zone` is the API's sentence for an unknown AZ. Where no AZ is asked for
    it is the default one, but a thing that `follows` goes to the project's pod where the project
    has none there. Where `send_zone` is off the pod is told no AZ at all: the name means something
    else to it.
    """

    makes: Resource
    refs: tuple[Ref, ...] = ()
    zone: str = ""
    send_zone: bool = True
    no_zone: str = "The requested availability zone is not available"
    prepare: Prepare | None = None
    lacking: Lacking | None = None
    more: More | None = None
    follows: bool = False

    async def __call__(self, call: Call, context: Context) -> Answer:
        body = decode(call.body)
        found = await pins(mentioned(call.body, self.refs), context)
        if self.more is not None:
            found = (*found, *await self.more(body, context))
        asked, rest = self._asked(body)
        lacking = await self.lacking(body, context) if self.lacking else frozenset()
        pod = self._choose(asked or "", found, lacking, context)
        pod = await bind(context, pod, pinned=bool(found) or asked == pod.own_zone)
        sent = call.body
        if isinstance(sent, bytes) and asked is not None:
            sent = self._with_zone(sent, pod, rest)
        if self.prepare is not None and isinstance(sent, bytes):
            sent = await self.prepare(sent, pod, context)
        answer = await context.send(pod, evolve(below(call, context), body=sent))
        if answer.ok and isinstance(answer.body, bytes):
            await context.routes.learn(self._made(answer.body, pod, context))
        return rewrite(answer, context, pod)

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

    def _choose(
        self, asked: str, found: tuple[Pin, ...], lacking: frozenset[str], context: Context
    ) -> Pod:
        zone = asked or ("" if found or self._elsewhere(context) else context.surface.default_zone)
        all = candidates(context)
        # where nothing else is left, the refusal of what is lacking says more than "no pod"
        fit = [one for one in all if one.pod.pod_id not in lacking]
        try:
            with suppress(NoPod, NoSuchZone):
                return choose(fit, Wish(zone, found))
            return choose(all, Wish(zone, found))
        except NoSuchZone as refusal:
            message = self.no_zone.format(zone=refusal.zone)
            raise BadRequest(message, kind="AvailabilityZoneNotFound") from None
        except Conflicting as refusal:
            raise BadRequest(str(refusal)) from None
        except NoPod as refusal:
            raise Unavailable(str(refusal)) from None

    def _elsewhere(self, context: Context) -> bool:
        """Whether the project has pods, and none in the default AZ."""
        project = context.caller.project_id
        bound = {b.az_name for b in context.pods.bindings if b.tenant_id == project}
        return self.follows and bool(bound) and context.surface.default_zone not in bound

    def _with_zone(self, body: bytes, pod: Pod, rest: str) -> bytes:
        """The body with the pod's own name of its AZ, or without one."""

        def change(fields: Fields) -> None:
            if self.zone not in fields:
                return
            was_list = bytes(fields[self.zone]).lstrip()[:1] == b"["
            name = pod.pod_az_name + rest if self.send_zone else ""
            if not name:
                del fields[self.zone]
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
            if isinstance(item, dict) and isinstance(item.get("id"), str)
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


def candidates(context: Context) -> list[Candidate]:
    """The pods that have this face's service, as they stand for the caller's project."""
    service = context.surface.service
    bound = {
        binding.pod_id: binding.created_at
        for binding in context.pods.bindings
        if binding.tenant_id == context.caller.project_id
    }
    return [
        Candidate(pod, not context.pods.is_down(pod, service), bound.get(pod.pod_id, ""))
        for pod in context.pods.serving(service)
    ]


async def bind(context: Context, pod: Pod, *, pinned: bool) -> Pod:
    """Record that the project uses the pod, before anything is sent to it.

    Of two first calls at once one wins, and both use its pod; what is pinned goes where it must,
    and leaves a binding that holds as it is.
    """
    project = context.caller.project_id
    if not project:  # nothing to bind, and the pod has its own words for such a token
        return pod
    held = context.pods.binding(project, pod.az_name)
    if held is not None and (pinned or held.pod_id == pod.pod_id):
        return pod
    now = datetime.fromtimestamp(context.now(), UTC).isoformat(timespec="microseconds")
    wanted = Binding(str(uuid.uuid4()), project, pod.pod_id, pod.az_name, now)
    # a pod that was bound and takes nothing new is left: the project moves on
    record = binding_rows.bind if held is None else binding_rows.rebind
    binding = await context.store.write(lambda connection: record(connection, wanted))
    await context.pods.reload()
    return pod if pinned else context.pods.get(binding.pod_id) or pod
