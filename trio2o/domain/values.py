"""The values that the store keeps and all layers speak of."""

from __future__ import annotations

import re

from attrs import frozen

ACTIVE, DRAINING, MAINTENANCE = "active", "draining", "maintenance"
STATES = (ACTIVE, DRAINING, MAINTENANCE)

UUID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")


def is_uuid(text: str) -> bool:
    """Whether OpenStack would take this text for a UUID."""
    return UUID.fullmatch(text) is not None


@frozen
class Pod:
    """One OpenStack cloud, or the top region (the one whose `az_name` is empty).

    `number` is a small integer that stays with the pod: the id of its aggregate.
    `pod_az_name` is the AZ's name inside the pod; empty means that none is sent.
    """

    pod_id: str
    number: int
    pod_name: str
    az_name: str
    pod_az_name: str
    dc_name: str
    state: str
    created_at: str

    @property
    def is_top(self) -> bool:
        return not self.az_name

    @property
    def own_zone(self) -> str:
        """`az1.Pod2`: this pod, where an AZ has several."""
        return f"{self.az_name}.{self.pod_name}"

    def is_in(self, zone: str) -> bool:
        """Whether an AZ as tenants write it means this pod (also)."""
        return zone in (self.az_name, self.own_zone)


@frozen
class Binding:
    """A project uses a pod for that pod's AZ. `ended_at` is empty while it holds."""

    id: str
    tenant_id: str
    pod_id: str
    az_name: str
    created_at: str
    ended_at: str = ""


@frozen
class Route:
    """Where an id lives. A route with `deleted_at` is a tombstone.

    `details` is JSON: members of the thing that are shown while its pod is down.
    """

    type: str
    top_id: str
    pod_id: str
    bottom_id: str
    project_id: str
    deleted_at: str = ""
    details: str = ""


@frozen
class Keypair:
    """A user's key, the same in all pods. One with `deleted_at` is yet to go from some of them.

    `number` is its id in answers; `version` moves with each change.
    """

    user_id: str
    name: str
    type: str
    public_key: str
    fingerprint: str
    created_at: str
    deleted_at: str = ""
    version: int = 1
    number: int = 0

    @property
    def key(self) -> str:
        return f"{self.user_id}/{self.name}"


@frozen
class ServerGroup:
    """A server group as tenants see it; `rules` is JSON. One with `deleted_at` is yet to go from
    some pods."""

    id: str
    project_id: str
    user_id: str
    name: str
    policy: str
    rules: str = "{}"
    deleted_at: str = ""
    number: int = 0


@frozen
class Settled:
    """What a pod has of a definition: a version of it, or a `problem` that an operator solves."""

    kind: str
    key: str
    pod_id: str
    version: int
    problem: str = ""


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


@frozen
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

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles


@frozen
class AccessRule:
    """What an application credential may call (Keystone, "access rules")."""

    service: str
    method: str
    path: str
