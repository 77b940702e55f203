"""The values that the store keeps and all layers speak of."""

from __future__ import annotations

import re

from attrs import field, frozen

ACTIVE, DRAINING, MAINTENANCE = "active", "draining", "maintenance"
STATES = (ACTIVE, DRAINING, MAINTENANCE)

UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Whether OpenStack would take this text for a UUID."""
    return UUID.fullmatch(text) is not None


@frozen
class Zone:
    """An AZ of a pod: the tenants' name of it, and what the pod's Nova and Cinder call it.

    An empty name of the pod's own means that none is sent.
    """

    name: str
    compute: str = ""
    volume: str = ""

    def own(self, service: str) -> str:
        return self.volume if service == "volume" else self.compute


@frozen
class Pod:
    """One OpenStack cloud, or the top region (the one whose `az_name` is empty).

    `number` is a small integer that stays with the pod: the id of its aggregate.
    `az_name` is its first AZ and `pod_az_name` what the pod calls that; `zones` are all of them,
    where there are several or its services call one differently. `tags` are what flavors ask for.
    """

    pod_id: str
    number: int
    pod_name: str
    az_name: str
    pod_az_name: str
    dc_name: str
    state: str
    created_at: str
    weight: float = 1.0
    tags: tuple[str, ...] = ()
    zones: tuple[Zone, ...] = ()

    @property
    def is_top(self) -> bool:
        return not self.az_name

    @property
    def azs(self) -> tuple[Zone, ...]:
        """Its AZs, the first first."""
        return self.zones or (Zone(self.az_name, self.pod_az_name, self.pod_az_name),)

    def zone(self, asked: str) -> Zone | None:
        """The AZ that tenants mean: `az1`, or `az1.Pod2` for this pod where an AZ has several."""
        for zone in self.azs:
            if asked in (zone.name, f"{zone.name}.{self.pod_name}"):
                return zone
        return None

    def is_in(self, asked: str) -> bool:
        return self.zone(asked) is not None

    def is_named(self, asked: str) -> bool:
        """Whether it is `az1.Pod2`, and this pod is meant."""
        return any(asked == f"{zone.name}.{self.pod_name}" for zone in self.azs)

    def shown_zone(self, own: str, service: str) -> str:
        """What tenants call an AZ of the pod; one that has no name of theirs is the first."""
        for zone in self.zones:
            if zone.own(service) == own:
                return zone.name
        return self.az_name


@frozen
class Binding:
    """A project uses a pod for that pod's AZ. `ended_at` is empty while it holds."""

    id: str
    tenant_id: str
    pod_id: str
    az_name: str
    created_at: str
    ended_at: str = ""


@frozen(weakref_slot=False)
class Route:
    """Where an id lives. A route with `deleted_at` is a tombstone.

    `details` is JSON: members of the thing that are shown while its pod is down. A route that is
    kept in memory is without them, and has a number that differs if they do (0: there are none).
    """

    type: str
    top_id: str
    pod_id: str
    bottom_id: str
    project_id: str
    deleted_at: str = ""
    details: str = ""
    seen: int = field(default=0, eq=False, repr=False)


@frozen
class Definition:
    """What must be the same in every pod: a flavor, say. `key` is the tenants' id of it.

    `document` is JSON in canonical form, `version` moves with each change. `pending` names the pod
    in which a change is being tried. One with `deleted_at` is yet to go from some pods. `owner` is
    the user or project whose it is, '' where it is everybody's.
    """

    kind: str
    key: str
    document: str
    owner: str = ""
    version: int = 1
    pending: str = ""
    deleted_at: str = ""
    number: int = 0


STRANGE, ON_ITS_WAY = 0, -1


@frozen
class Settled:
    """What a pod has of a definition: a version of it, or a `problem` that an operator solves.

    A version of `STRANGE`: what is there was neither brought there by us nor found to be the same;
    of `ON_ITS_WAY`: it is being brought there.
    """

    kind: str
    key: str
    pod_id: str
    version: int
    problem: str = ""
    bottom_id: str = ""


@frozen
class Counterpart:
    """What a thing of the top Neutron is called in one pod. `kind` is its collection's name."""

    kind: str
    top_id: str
    pod_id: str
    bottom_id: str


CLAIMED, LEASED, BOOTED, BOUND = "claimed", "leased", "booted", "bound"
"""Stages of an attachment: the pod was not heard yet; its address is the pod's to give to one of
several servers; the pod took the call; it was seen to use the port."""

SUBPORT = "subport"
"""The stage of a port that is in a pod as one of a trunk, which `claim` names."""


@frozen
class Attachment:
    """A port of the top Neutron is wanted in a pod.

    `claim` names the call that wants it, `server_id` the server once that is known. `ours`: the
    port was made for the server and ends with it. `since` is in seconds since 1970.
    """

    port_id: str
    pod_id: str
    server_id: str
    claim: str
    ours: bool
    stage: str
    since: float


@frozen(slots=False)
class Caller:
    """Who calls, as Keystone says of the token."""

    token: str
    user_id: str
    project_id: str
    roles: tuple[str, ...]
    expires_at: float
    user_name: str = ""
    project_name: str = ""
    user_domain_id: str = ""
    project_domain_id: str = ""
    domain_id: str = ""
    system_scope: str = ""
    access_rules: tuple[AccessRule, ...] | None = None

    def with_token(self, token: str) -> Caller:
        """The same, holding this token. Every call makes one: `attrs.evolve` takes ten times as
        long."""
        twin = object.__new__(Caller)
        twin.__dict__.update(self.__dict__)
        twin.__dict__["token"] = token
        return twin

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles


@frozen
class AccessRule:
    """What an application credential may call (Keystone, "access rules")."""

    service: str
    method: str
    path: str
