"""What the reconciler speaks of: kinds, what is wanted in a pod, what is found there, steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

Row = dict[str, Any]
"""A thing as Neutron shows it, or as much of it as was asked for."""

MARK = "trio2o:"
"""What the description of all that is ours in a pod begins with; the top's id follows."""

RESERVED = "trio2o-"
"""What the `device_id` of ports begins with that hold addresses or a place at the top."""


@frozen
class Parts:
    """A member that is a list and is changed by calls of its own, not with its thing.

    `path` is where one is made, as `key`: `{thing}` stands for the path of the thing, `{type}` for
    the row's. Without it some are added and removed at once. `id` is the member it is called by,
    `owner` the one that names its thing, if it is not under it. `apart`: they are listed there;
    `left_out`: lists of things do not tell them, or not all of them; `holds`: while there are some,
    their thing is not deleted.
    """

    name: str
    path: str = ""
    key: str = ""
    id: str = "id"
    owner: str = ""
    apart: bool = True
    left_out: bool = False
    holds: bool = False


@frozen
class Kind:
    """A collection of Neutron's: its path and keys, what is read of it, what may be changed."""

    path: str
    key: str
    rows: str
    fields: tuple[str, ...]
    changes: tuple[str, ...] = ()
    parts: Parts | None = None
    mark: str = "description"
    """The member that says whose it is."""


def _kind(
    key: str,
    fields: str,
    changes: str = "",
    rows: str = "",
    path: str = "",
    parts: Parts | None = None,
    mark: str = "description",
) -> Kind:
    rows = rows or f"{key}s"
    common = ("id", "project_id", "description")
    path = path or rows.replace("_", "-")
    return Kind(path, key, rows, (*common, *fields.split()), tuple(changes.split()), parts, mark)


QOS = _kind(
    "policy",
    "name rules",
    "name rules",
    "policies",
    "qos/policies",
    Parts("rules", "{thing}/{type}_rules", "{type}_rule", apart=False),
)
NETWORK = _kind(
    "network",
    "name admin_state_up mtu port_security_enabled shared router:external subnets qos_policy_id "
    "provider:network_type provider:physical_network provider:segmentation_id",
    "name admin_state_up mtu port_security_enabled router:external qos_policy_id",
)
SCOPE = _kind("address_scope", "name ip_version", mark="name")
POOL = _kind(
    "subnetpool",
    "name prefixes default_prefixlen min_prefixlen max_prefixlen ip_version address_scope_id",
    "name prefixes default_prefixlen min_prefixlen max_prefixlen address_scope_id",
    parts=Parts("prefixes", apart=False),
)
SUBNET = _kind(
    "subnet",
    "name network_id ip_version cidr gateway_ip enable_dhcp allocation_pools dns_nameservers "
    "host_routes ipv6_ra_mode ipv6_address_mode subnetpool_id",
    "name enable_dhcp allocation_pools dns_nameservers host_routes subnetpool_id",
)
GROUP = _kind("security_group", "name stateful security_group_rules", "name description stateful")
ADDRESSES = _kind(
    "address_group", "name addresses", "name addresses", parts=Parts("addresses", apart=False)
)
RULE = _kind(
    "security_group_rule",
    "security_group_id direction ethertype protocol port_range_min port_range_max "
    "remote_ip_prefix remote_group_id remote_address_group_id",
)
PORT = _kind(
    "port",
    "name network_id mac_address fixed_ips admin_state_up security_groups allowed_address_pairs "
    "port_security_enabled device_id device_owner extra_dhcp_opts binding:vnic_type created_at "
    "updated_at revision_number qos_policy_id trunk_details dns_name",
    "name fixed_ips admin_state_up security_groups allowed_address_pairs port_security_enabled "
    "extra_dhcp_opts qos_policy_id dns_name",
)
TRUNK = _kind(
    "trunk",
    "name admin_state_up port_id sub_ports",
    "name admin_state_up sub_ports",
    parts=Parts("sub_ports", apart=False, holds=True),
)
RBAC = _kind("rbac_policy", "object_type object_id action target_tenant", rows="rbac_policies")

ROUTER = _kind(
    "router",
    "name admin_state_up external_gateway_info routes conntrack_helpers enable_ndp_proxy",
    "name admin_state_up external_gateway_info routes conntrack_helpers enable_ndp_proxy",
    parts=Parts("conntrack_helpers", "{thing}/conntrack_helpers", "conntrack_helper"),
)
INTERFACE = Kind("router-interfaces", "", "", ())
"""That a port is an interface of a router, which has no id of its own."""

PROXY = _kind("ndp_proxy", "name router_id port_id ip_address", rows="ndp_proxies", mark="name")

FLOATING = _kind(
    "floatingip",
    "floating_network_id floating_ip_address port_id fixed_ip_address router_id qos_policy_id "
    "port_forwardings",
    "port_id fixed_ip_address qos_policy_id port_forwardings",
    parts=Parts(
        "port_forwardings", "{thing}/port_forwardings", "port_forwarding", left_out=True, holds=True
    ),
)

LABEL = _kind(
    "metering_label",
    "name shared",
    "metering_label_rules",
    path="metering/metering-labels",
    parts=Parts(
        "metering_label_rules",
        "/metering/metering-label-rules",
        "metering_label_rule",
        owner="metering_label_id",
        left_out=True,
    ),
)
LOCAL_IP = _kind(
    "local_ip",
    "name network_id local_port_id local_ip_address ip_mode",
    "name port_associations",
    path="local_ips",
    parts=Parts(
        "port_associations",
        "{thing}/port_associations",
        "port_association",
        "fixed_port_id",
        left_out=True,
        holds=True,
    ),
)

KINDS = (
    *(QOS, NETWORK, RBAC, SCOPE, POOL, SUBNET, ADDRESSES, GROUP, RULE, PORT),
    *(TRUNK, LOCAL_IP, ROUTER, INTERFACE, PROXY, FLOATING, LABEL),
)
"""In the order in which they are made; they are deleted in the opposite one."""

OPTIONAL = (QOS, TRUNK, LOCAL_IP, LABEL, PROXY)
"""What a Neutron may not have."""

NEW_WORDS = ("dns_name", "enable_ndp_proxy")
"""Members of ports and routers that a Neutron may not know."""

BY_PATH = {kind.path: kind for kind in KINDS}


@frozen
class Ref:
    """In the body of what is wanted: the id, in the pod, of another thing that is wanted."""

    kind: str
    id: str


Key = Ref
"""What is wanted or found is told by its kind and its id at the top."""


@frozen(eq=False)
class Wanted:
    """What a pod should have. `first` differs from `body` where it is made in two steps."""

    kind: Kind
    id: str
    project_id: str
    body: Row
    first: Row = field(factory=dict)

    @property
    def key(self) -> Key:
        return Ref(self.kind.path, self.id)

    @property
    def made_with(self) -> Row:
        """`first`, and no parts (None) where calls of their own make them."""
        parts = self.kind.parts
        later = parts is not None and parts.path and self.body.get(parts.name)
        return self.first | ({parts.name: None} if parts is not None and later else {})


@frozen(eq=False)
class Found:
    """What a pod has. `row` names others by their keys; it is None where only the id is known."""

    bottom_id: str
    row: Row | None = None
    spare: tuple[str, ...] = ()


@frozen(eq=False)
class Create:
    wanted: Wanted


@frozen(eq=False)
class Update:
    wanted: Wanted
    changes: Row
    row: Row = field(factory=dict)


@frozen(eq=False)
class Delete:
    key: Key
    bottom_id: str


Step = Create | Update | Delete


def key_of(step: Step) -> Key:
    return step.key if isinstance(step, Delete) else step.wanted.key


def mark(id: str) -> str:
    return MARK + id


def marked(row: Mapping[str, Any]) -> str:
    """The top's id of what is ours; '' for what is not."""
    text = row.get("description") or row.get("name") or ""
    return text[len(MARK) :] if text.startswith(MARK) else ""


DHCP = "reserved_dhcp_port"
"""`device_id` of a port in a pod that waits for a DHCP agent to use it."""


JOINING = "to be a router's"
"""`name` of a port in a pod that says to be a router's, before it is."""


def dhcp(pod_name: str) -> str:
    """`device_id` of the port at the top that holds the addresses of a pod's DHCP."""
    return f"{RESERVED}dhcp:{pod_name}"


def gateway(pod_name: str) -> str:
    """`device_id` of the port at the top that holds a pod's own gateway addresses."""
    return f"{RESERVED}gateway:{pod_name}"


def bridge(pod_name: str) -> str:
    """`device_id` of the port at the top that holds a pod's address on a router's bridge."""
    return f"{RESERVED}bridge:{pod_name}"


def floating(id: str) -> str:
    """`device_id` of the port at the top that holds a floating IP's address on a bridge."""
    return f"{RESERVED}floating:{id}"


def bridge_mark(router_id: str) -> str:
    """The description, at the top, of the network that joins a router's pods."""
    return f"{RESERVED}bridge of:{router_id}"


MADE, TAKEN = f"{RESERVED}made:", f"{RESERVED}taken:"
"""What the `device_id` of a port at the top begins with while a pod is asked to use it: one that
was made for this and goes again if nothing comes of it, or the tenant's own."""
