"""Networks that span pods: the top Neutron has them, and what only pods know is laid over it.

What a pod had before (without our mark) is served beside it, as in the local mode.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from attrs import evolve, frozen
from msgspec.structs import replace
from txaio.tx import make_logger

from trio2o.domain.errors import BadRequest, Fault, NotFound, PodUnavailable
from trio2o.domain.resources import Resource
from trio2o.domain.tasks import together, within
from trio2o.domain.values import Pod
from trio2o.faces.network._checks import check_kind, check_local_ip, refuse_ours
from trio2o.faces.network_resources import (
    ADDRESS_SCOPE,
    ALL,
    FLOATING_IP,
    LOCAL_IP,
    NDP_PROXY,
    NETWORK,
    PORT,
    RBAC_POLICY,
    ROUTER,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    TRUNK,
)
from trio2o.faces.stretched import ByMode, networks_of
from trio2o.message import Answer, Call
from trio2o.networks import Refused
from trio2o.networks import things as kinds
from trio2o.verbs import (
    Context,
    Fields,
    Gather,
    Operation,
    Shown,
    Verb,
    below,
    decode,
    decoded,
    json_answer,
    mentioned,
    raw,
    rewrite,
)

log = make_logger()

Row = dict[str, Any]

FOLLOW = 10.0
"""Seconds that a change waits for the pods to follow before it is answered."""

HINTS, ZONES = "availability_zone_hints", "availability_zones"

LIVE = ("status", "binding:host_id", "binding:vif_type", "binding:vif_details")
"""What of a port only its pod knows."""

_OVERLAID = {
    PORT.type: LIVE,
    "floatingip": ("status",),
    TRUNK.type: ("status",),
    NETWORK.type: (HINTS, ZONES),
    ROUTER.type: (HINTS, ZONES),
}

_BESIDE = re.compile(
    r"/v2\.0/(agents|segments|log|qos/rule-types|service-providers|availability_zones)\b"
    r"|/v2\.0/?$|/$|/healthcheck$|-agents$"
)
"""Rows that pods answer in this mode too, or that are answered without any Neutron."""


def _has_own(pod: Pod, context: Context) -> bool:
    """Whether a pod may have networks that are none of ours: any that can be asked, and of those
    that are down the ones that had some in the last pass."""
    had = networks_of(context).strangers.get(pod.pod_id, True)
    return had or not context.pods.is_down(pod, "network")


def _sources(context: Context) -> Sequence[Pod]:
    pods = [pod for pod in context.pods.serving("network") if _has_own(pod, context)]
    return (networks_of(context).center, *pods)


def _skip(pod: Pod, row: Fields) -> bool:
    """A pod's counterpart of what the top shows, or a rule of its own `default` groups."""
    names = [bytes(row.get(name, b"")) for name in ("description", "name")]
    mark, default = f'"{kinds.MARK}'.encode(), row.get("belongs_to_default_sg", b"")
    ours = any(name.startswith(mark) for name in names)
    return not pod.is_top and (ours or bytes(default) == b"true")


def _skip_group(pod: Pod, row: Fields) -> bool:
    """A pod's `default` groups are the top's one, too."""
    return _skip(pod, row) or (not pod.is_top and bytes(row.get("name", b"")) == b'"default"')


_TELLING = ("id", "network_id", "security_group_id", "object_id")
"""The ids by which a pod's row is known to be ours: its own, and those of what it is a part of."""


async def _mark(pod: Pod, rows: Sequence[Fields], context: Context) -> None:
    """Give parts of what we made in a pod, which cannot tell it, the mark that they are ours."""
    if pod.is_top:
        return
    told = [{decode(bytes(row[name])) for name in _TELLING if name in row} for row in rows]
    ours = set(await networks_of(context).tops(set().union(*told) - {None}))
    for row, ids in zip(rows, told, strict=True):
        if ids & ours:
            row["description"] = raw(kinds.MARK)


@frozen
class _Dress:
    """Lays over rows of the top what pods and the store know."""

    resource: Resource

    async def page(self, rows: Sequence[Shown], context: Context) -> list[Shown]:
        """The rows of a list's page."""
        names = ("port_id", "port_details", *_OVERLAID.get(self.resource.type, ()))
        tops = [row for pod, row, _ in rows if pod.is_top]
        told = [decoded({name: row[name] for name in names if name in row}) for row in tops]
        await self.rows([id for pod, _, id in rows if pod.is_top], told, context)
        for row, known in zip(tops, told, strict=True):
            row |= {name: raw(value) for name, value in known.items()}
        return list(rows)

    async def rows(self, ids: Sequence[str], rows: Sequence[Row], context: Context) -> None:
        """Change the top's rows, of things with these ids, in place. What a pod that does not
        answer knows stays as it is."""
        names = _OVERLAID.get(self.resource.type, ())
        pairs = [(i, row) for i, row in zip(ids, rows, strict=True) if any(n in row for n in names)]
        if not pairs:
            return
        networks, ids = networks_of(context), [id for id, _ in pairs]
        places = await networks.places_of(ids)
        if HINTS in names:
            hints = await networks.hints(ids)
            zones: dict[str, set[str]] = {}
            for one in places:
                if pod := context.pods.get(one.pod_id):
                    zones.setdefault(one.top_id, set()).add(pod.az_name)
            for id, row in pairs:
                row |= {HINTS: hints.get(id, []), ZONES: sorted(zones.get(id, ()))}
            return
        by_pod: dict[str, dict[str, str]] = {}
        for one in places:
            by_pod.setdefault(one.pod_id, {})[one.bottom_id] = one.top_id
        told = await together(self._ask(id, some, names, context) for id, some in by_pod.items())
        live = {top: row for some in told for top, row in some.items()}
        for id, row in pairs:
            row |= {name: value for name, value in live.get(id, {}).items() if name in row}
        if self.resource is FLOATING_IP:
            ends = [row for row in rows if row.get("port_details")]
            ids, details = [[row[name] for row in ends] for name in ("port_id", "port_details")]
            await _Dress(PORT).rows(ids, details, context)

    async def _ask(
        self, pod_id: str, ids: dict[str, str], names: Sequence[str], context: Context
    ) -> dict[str, Row]:
        networks, pod = networks_of(context), context.pods.get(pod_id)
        if pod is None or context.pods.is_down(pod, "network"):
            return {}
        kind = kinds.BY_PATH[self.resource.collection.strip("/")]
        try:
            found = await networks.neutron.by_ids(pod, kind, ids, fields=("id", *names))
        except Fault:
            return {}
        return {ids[row["id"]]: {name: row.get(name) for name in names} for row in found}


@frozen
class Listed:
    """A list of the top's, beside it the pods' own; filters on what is laid over it hold."""

    gather: Gather

    async def __call__(self, call: Call, context: Context) -> Answer:
        resource = self.gather.resource
        names = _OVERLAID.get(resource.type, ())
        asked = parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)
        ours = [(name, value) for name, value in asked if name in names]
        if not ours:
            return await self.gather(call, context)
        drop = {*names, "limit", "marker", "fields"}
        rest = urlencode([(name, value) for name, value in asked if name not in drop])
        answer = await self.gather(replace(call, query=rest.encode()), context)
        if not answer.ok:
            return answer
        rows = [row for row in decode(answer.body)[resource.rows] if _matches(row, ours)]
        return self._page(rows, asked, context)

    def _page(self, rows: list[Row], asked: list[tuple[str, str]], context: Context) -> Answer:
        query = dict(asked)
        ids = [row["id"] for row in rows]
        start = ids.index(query["marker"]) + 1 if query.get("marker") in ids else 0
        limit = query.get("limit", "")
        size = int(limit) if limit.isdigit() and int(limit) else None
        page = rows[start:][:size]
        body: dict[str, Any] = {}
        if size and len(page) == size:
            more = [(name, value) for name, value in asked if name != "marker"]
            href = context.link([*more, ("marker", page[-1]["id"])])
            body[f"{self.gather.resource.rows}_links"] = [{"rel": "next", "href": href}]
        fields = {value for name, value in asked if name == "fields"}
        shown = [{k: v for k, v in row.items() if k in fields} if fields else row for row in page]
        return json_answer(200, {self.gather.resource.rows: shown, **body})


def _matches(row: Row, filters: list[tuple[str, str]]) -> bool:
    """Whether a row has, for each name that is filtered by, one of the values."""
    for name in {name for name, _ in filters}:
        wanted = {value for other, value in filters if other == name}
        have = row.get(name)
        values = have if isinstance(have, list) else [have]
        if not wanted & {str(value or "") for value in values}:
            return False
    return True


@frozen
class TopFirst:
    """The top answers; what it does not know may be a pod's own. The pods follow the change."""

    local: Verb
    resource: Resource

    async def __call__(self, call: Call, context: Context) -> Answer:
        networks, body = networks_of(context), decode(call.body)
        refuse_ours(body)
        sent, hints = self._without_hints(below(call, context), body, context)
        before = await self._before(context)
        if self.resource is PORT and before.get("device_id"):
            check_kind(body, before, context)
        if self.resource is TRUNK and call.method == "DELETE":
            await self._untrunk(sent, context)
        if self.resource is LOCAL_IP and call.method == "POST" and context.params:
            await check_local_ip(sent, body, context)
        answer = await context.send(networks.center, sent)
        if answer.status in (403, 409) and call.method == "DELETE" and await self._let_go(context):
            answer = await context.send(networks.center, sent)
        if answer.status == 404 and await self._is_a_pods(body, context):
            return await self.local(call, context)
        answer = rewrite(answer, context, networks.center)
        if not answer.ok or (call.method == "GET" and self.resource.type not in _OVERLAID):
            return answer
        said = decode(answer.body)
        rows = self._rows(said)
        if call.method != "GET":
            if any(hints):
                made = zip(rows, hints, strict=False)
                await networks.keep_hints({row["id"]: some for row, some in made if some})
            try:
                if not await within(context.clock, FOLLOW, self._follow(rows, before, context)):
                    networks.wake()
            except Fault as fault:  # the top has it: what was not brought now is for a pass
                whole = self.resource in (TRUNK, NDP_PROXY)
                if whole and isinstance(fault, Refused | BadRequest):
                    await self._take_back(call.method, body, rows, context)
                    raise await _by_top(fault, context) from None
                log.warn("a change of the top: {why}", why=str(fault))
                networks.wake()
        if not rows or self.resource.type not in _OVERLAID:
            return answer
        ids = [row.get("id", _subject(context)) for row in rows]
        await _Dress(self.resource).rows(ids, rows, context)
        return replace(answer, body=msgspec.json.encode(said))

    async def _untrunk(self, sent: Call, context: Context) -> None:
        """The pod of a trunk may refuse to let go of it: it is asked before the top, which does not
        know what uses the parent port. Raises `Refused`."""
        networks = networks_of(context)
        if context.below == TRUNK.path(_subject(context)).encode():
            shown = replace(sent, method="GET", body=b"")
            if (await context.send(networks.center, shown)).ok:
                try:
                    await networks.settle_trunk(_subject(context), leave=True)
                except Refused as refused:
                    raise await _by_top(refused, context) from None

    async def _take_back(
        self, method: str, body: Any, rows: Sequence[Row], context: Context
    ) -> None:
        """The pod of a trunk, or of an NDP proxy, refused what the top did."""
        networks, action = networks_of(context), context.operation.action
        if method == "POST":
            for row in rows:
                await networks.gone(networks.center, self.resource.path(row["id"]))
        elif action == "add_subports":
            path = f"{TRUNK.path(_subject(context))}/remove_subports"
            await networks.neutron.ask(networks.center, "PUT", path, body)

    def _without_hints(
        self, sent: Call, body: Any, context: Context
    ) -> tuple[Call, list[list[str]]]:
        """The call without AZ hints, which a Neutron without agents refuses, and the hints.

        Raises `NotFound` for an AZ that there is not.
        """
        if sent.method != "POST" or HINTS not in _OVERLAID.get(self.resource.type, ()):
            return sent, []
        if not isinstance(body, dict) or context.below != self.resource.collection.encode():
            return sent, []
        many = body.get(self.resource.rows)
        items = many if isinstance(many, list) else [body.get(self.resource.key)]
        hints: list[list[str]] = []
        for item in items:
            asked = item.get(HINTS) if isinstance(item, dict) else None
            if not isinstance(asked, list) or not all(isinstance(one, str) for one in asked):
                hints.append([])
                continue
            assert isinstance(item, dict)
            for hint in asked:
                if not any(pod.is_in(hint) or hint == pod.pod_name for pod in context.pods.all):
                    raise NotFound(
                        f"AvailabilityZone {hint} could not be found.",
                        kind="AvailabilityZoneNotFound",
                    )
            del item[HINTS]
            hints.append(asked)
        return replace(sent, body=msgspec.json.encode(body)), hints

    async def _before(self, context: Context) -> Row:
        """What is about to be changed, where that decides which pods follow."""
        kind, id = kinds.BY_PATH.get(self.resource.collection.strip("/")), _subject(context)
        deletes = context.operation.method == "DELETE" and kind in _FOLLOW_BY_ROW
        moves = context.operation.method == "PUT" and kind in (kinds.PORT, kinds.FLOATING)
        if kind is None or not id or not (deletes or moves):
            return {}
        networks = networks_of(context)
        found = await networks.neutron.by_ids(networks.center, kind, [id])
        return found[0] if found else {}

    async def _let_go(self, context: Context) -> bool:
        """What is in use may be so by servers that are gone already: look, and free it."""
        networks, id = networks_of(context), _subject(context)
        center, neutron = networks.center, networks.neutron
        name = {"network": "network_id", "security_group": "security_groups", "port": "id"}
        fields = ("id", "device_id")
        if self.resource.type == "subnet":
            ports = await neutron.rows(
                center, kinds.PORT, fields=fields, fixed_ips=f"subnet_id={id}"
            )
        elif self.resource.type in name:
            by = name[self.resource.type]
            ports = await neutron.by_ids(center, kinds.PORT, [id], name=by, fields=fields)
        else:
            return False
        return await networks.let_go([port["id"] for port in ports])

    async def _is_a_pods(self, body: Any, context: Context) -> bool:
        """Whether a pod has, of its own, what the call is about.

        Raises `BadRequest` if the call names that and something of the top's.
        """
        networks, center = networks_of(context), networks_of(context).center
        if not any(_has_own(pod, context) for pod in context.pods.serving("network")):
            return False
        named = [(ref.resource, id) for ref, id in mentioned(body, getattr(self.local, "refs", ()))]
        if context.params:
            named.insert(0, (self.resource, _subject(context)))
        ids = {id for _, id in named}
        if await networks.tops(ids):
            return False
        ours = {one.top_id for one in await networks.places_of(ids)}
        own: dict[str, str] = {}
        for kind, id in named:
            known = id in ours or id in own
            if not known and (pod := await self._owner(kind, id, context)) is not None:
                own[id] = f"{kind.type} {id} is {pod.pod_name}'s own"
        for kind, id in named if own else ():
            rows = kinds.BY_PATH.get(kind.collection.strip("/"))
            if id not in own and rows is not None:
                token = context.caller.token
                if await networks.neutron.by_ids(center, rows, [id], fields=("id",), token=token):
                    what = f"{kind.type.capitalize()} {id} is of networks that span pods"
                    raise BadRequest(f"{what}, {next(iter(own.values()))}.")
        return bool(named) and named[0][1] in own

    async def _owner(self, resource: Resource, id: str, context: Context) -> Pod | None:
        """The pod that has this of its own."""
        try:
            route = await context.routes.find(resource, id, context.caller, context.deadline)
        except PodUnavailable as fault:
            lost = {pod.pod_name: pod for pod in context.pods.all}.get(fault.pod)
            if lost is None or _has_own(lost, context):
                raise
            return None
        pod = context.pods.get(route.pod_id) if route and not route.deleted_at else None
        if pod is not None and resource in (SECURITY_GROUP_RULE, RBAC_POLICY):
            # a part of what we made there is not the pod's own
            networks, kind = networks_of(context), kinds.BY_PATH[resource.collection.strip("/")]
            found = await networks.neutron.by_ids(pod, kind, [id])
            if await networks.tops([row[n] for row in found for n in _TELLING if row.get(n)]):
                return None
        return pod

    def _rows(self, said: Any) -> list[Row]:
        """What the top says that it shows, made or changed."""
        if not isinstance(said, dict):
            return []
        found = said.get(self.resource.rows) or [said.get(self.resource.key)]
        return [row for row in found if isinstance(row, dict)]

    async def _follow(self, rows: Sequence[Row], before: Row, context: Context) -> None:
        """Bring the change to the pods that have the thing."""
        networks, type, id = networks_of(context), self.resource.type, _subject(context)
        if type == "network" and id:
            await networks.settle_network(id)
            if context.operation.method == "DELETE" and context.below == NETWORK.path(id).encode():
                await networks.drop_hints([id])
        elif type in ("subnet", "rbac_policy"):
            named = "network_id" if type == "subnet" else "object_id"
            for network in {row[named] for row in (*rows, before) if row.get(named)}:
                await networks.settle_network(network)
        elif type == "port":
            changed = {group for row in (*rows, before) for group in row.get("security_groups", ())}
            if id:
                await networks.settle_ports([id], changed)
            else:
                networks.members_changed(changed)
        elif type == "security_group" and id:
            await networks.settle_all_groups([id])
        elif type == "security_group_rule":
            named = "security_group_id"
            groups = {row[named] for row in (*rows, before) if row.get(named)}
            await networks.settle_all_groups(groups)
        elif type == "router" and id:
            await self._settle_router(id, context)
        elif type == "floatingip":
            if context.below == self.resource.path(id).encode():
                if context.operation.method == "DELETE":
                    await networks.remove_everywhere(id)
            elif id:
                rows = await networks.neutron.by_ids(networks.center, kinds.FLOATING, [id])
            for router in {row["router_id"] for row in (*rows, before) if row.get("router_id")}:
                await self._settle_router(router, context)
        elif type == "trunk":
            for trunk in [id] if id else [row["id"] for row in rows]:
                await networks.settle_trunk(trunk)
        elif type == "ndp_proxy":
            for router in {row["router_id"] for row in (*rows, before) if row.get("router_id")}:
                await self._settle_router(router, context)
        elif type in ("policy", "subnetpool") and id:
            await networks.settle_alone(kinds.BY_PATH[self.resource.collection.strip("/")], id)
        elif type.startswith(_BY_PASS):
            networks.wake()
        elif type == "address_group" and id:
            networks.members_changed([id])

    async def _settle_router(self, id: str, context: Context) -> None:
        networks = networks_of(context)
        await networks.routing.run(id, lambda: networks.settle_router(networks, id))


async def _by_top(refused: Refused | BadRequest, context: Context) -> Fault:
    """What a pod refused, in the words of the top."""
    if isinstance(refused, BadRequest):
        return refused
    text = refused.message
    for id in re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text):
        text = text.replace(id, (await networks_of(context).tops([id])).get(id, id))
    return Refused(refused.status, text, refused.kind, refused.where)


async def by_top(call: Call, context: Context) -> Answer:
    """What only the top has to know: pods get what comes of it by the next pass."""
    networks = networks_of(context)
    answer = await context.send(networks.center, below(call, context))
    if answer.ok and call.method != "GET":
        networks.wake()
    return rewrite(answer, context, networks.center)


_TOPS_OWN = re.compile(
    r"/v2\.0/(quotas|flavors|service_profiles|default-security-group-rules"
    r"|security-groups-default-statefulness|auto-allocated-topology)(/|$)"
)

_BY_PASS = ("alias_", "metering_", "local_ip")
"""Types of what the next pass brings to pods."""

_FOLLOW_BY_ROW = (kinds.SUBNET, kinds.PORT, kinds.RULE, kinds.RBAC, kinds.FLOATING, kinds.PROXY)


def _subject(context: Context) -> str:
    """The id of the thing that a row is about, or a part of; '' if there is none yet."""
    return next(iter(context.params.values()), "")


@frozen
class InPod:
    """A thing that the top has, as its pod knows it: port bindings, agents of a network."""

    local: Verb
    resource: Resource
    param: str

    async def __call__(self, call: Call, context: Context) -> Answer:
        id = context.params[self.param]
        places = await networks_of(context).places_of([id])
        for one in places:
            pod = context.pods.get(one.pod_id)
            if pod is not None:
                sent = below(call, context)
                path = sent.path.replace(id.encode(), one.bottom_id.encode(), 1)
                return rewrite(await context.send(pod, replace(sent, path=path)), context, pod)
        return await self.local(call, context)


def over_pods(table: Sequence[Operation]) -> tuple[Operation, ...]:
    """The rows, each with what serves it in the stretched mode."""
    return tuple(_stretched(row) for row in table)


def _stretched(row: Operation) -> Operation:
    if _BESIDE.search(row.path):
        if row.path.endswith("-agents"):
            resource = NETWORK if "/networks/" in row.path else ROUTER
            param = re.findall(r"\{(\w+)\}", row.path)[0]
            return evolve(row, verb=ByMode(row.verb, InPod(row.verb, resource, param)))
        return row
    if "/bindings" in row.path:
        return evolve(row, verb=ByMode(row.verb, InPod(row.verb, PORT, "port_id")))
    if _TOPS_OWN.match(row.path):
        return evolve(row, verb=ByMode(row.verb, by_top))
    path = row.path.removeprefix("/v2.0").replace("local_ips", "local-ips")
    found = next(
        (one for one in ALL if re.fullmatch(re.escape(one.collection) + r"(/.*)?", path)), None
    )
    resource = found or _NOTHING
    if row.method == "GET" and isinstance(row.verb, Gather) and found is not None:
        gather = evolve(
            row.verb,
            sources=_sources,
            skip=_skip_group if resource is SECURITY_GROUP else _skip,
            mark=_mark,
            extra=("description", *_EXTRA.get(resource.type, ())),
            dress=_Dress(resource).page,
            same=None,
        )
        return evolve(row, verb=ByMode(row.verb, Listed(gather)))
    return evolve(row, verb=ByMode(row.verb, TopFirst(row.verb, resource)))


_EXTRA = {
    SECURITY_GROUP.type: ("name",),
    ADDRESS_SCOPE.type: ("name",),
    NDP_PROXY.type: ("name",),
    PORT.type: ("network_id",),
    SECURITY_GROUP_RULE.type: ("security_group_id", "belongs_to_default_sg"),
    RBAC_POLICY.type: ("object_id",),
}
"""What tells, besides a description, that a pod's row is ours or Neutron's own."""

_NOTHING = Resource("", "network", rows="")
"""Stands for rows of things without ids: nothing follows from a change of them."""
