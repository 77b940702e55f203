"""The kinds of things that Neutron knows, as it calls them."""

from typing import Any

from attrs import evolve

from trio2o.domain.resources import Resource


def network_kind(type: str, collection: str = "", rows: str = "", **more: Any) -> Resource:
    """A kind of Neutron's, whose path has dashes where its plural has none."""
    rows = rows or f"{type}s"
    path = collection or "/" + rows.replace("_", "-")
    return Resource(type, "network", rows=rows, collection=path, deleted_at_once=True, **more)


_ZONES = ("availability_zone_hints", "availability_zones")

NETWORK = network_kind("network", zones=_ZONES)
SUBNET = network_kind("subnet")
PORT = network_kind("port")
ROUTER = network_kind("router", zones=_ZONES, mapped=("flavor_id",))
FLOATING_IP = network_kind("floatingip")
SECURITY_GROUP = network_kind("security_group")
SECURITY_GROUP_RULE = network_kind("security_group_rule")
SUBNETPOOL = network_kind("subnetpool")
ADDRESS_SCOPE = network_kind("address_scope")
ADDRESS_GROUP = network_kind("address_group")
RBAC_POLICY = network_kind("rbac_policy", rows="rbac_policies")
TRUNK = network_kind("trunk")
SEGMENT = network_kind("segment")
SEGMENT_RANGE = network_kind("network_segment_range")
NDP_PROXY = network_kind("ndp_proxy", rows="ndp_proxies")
LOCAL_IP = network_kind("local_ip")
AGENT = network_kind("agent")
QOS_POLICY = network_kind("policy", "/qos/policies", "policies")
LOG = network_kind("log", "/log/logs")
METERING_LABEL = network_kind("metering_label", "/metering/metering-labels")
METERING_RULE = network_kind("metering_label_rule", "/metering/metering-label-rules")

BANDWIDTH_RULE = network_kind("alias_bandwidth_limit_rule", "/qos/alias_bandwidth_limit_rules")
DSCP_RULE = network_kind("alias_dscp_marking_rule", "/qos/alias_dscp_marking_rules")
MINIMUM_BANDWIDTH_RULE = network_kind(
    "alias_minimum_bandwidth_rule", "/qos/alias_minimum_bandwidth_rules"
)
MINIMUM_PACKET_RULE = network_kind(
    "alias_minimum_packet_rate_rule", "/qos/alias_minimum_packet_rate_rules"
)

# these are the same in every pod, under the first pod's ids
FLAVOR = network_kind("flavor", mapped=("id", "service_profiles"))
SERVICE_PROFILE = network_kind("service_profile", "/service_profiles", mapped=("id",))
DEFAULT_RULE = network_kind("default_security_group_rule", mapped=("id",))
DEFAULT_STATE = network_kind(
    "security_groups_default_statefulness",
    rows="security_groups_default_statefulness",
    mapped=("id",),
)

TOPOLOGY = evolve(NETWORK, collection="/auto-allocated-topology", key="auto_allocated_topology")
"""A project's own, named by its network."""

# these have no id, or one that is a name: they are gathered, or asked of any pod
FLOATING_IP_POOL = network_kind("floatingip_pool")
LOGGABLE = network_kind("loggable_resource", "/log/loggable-resources")
SERVICE_PROVIDER = network_kind("service_provider")
QOS_RULE_TYPE = network_kind("rule_type", "/qos/rule-types")
QUOTA = network_kind("quota")
AVAILABILITY = network_kind("network_ip_availability", rows="network_ip_availabilities")
EXTENSION = network_kind("extension")

DEFINED = (FLAVOR, SERVICE_PROFILE, DEFAULT_RULE, DEFAULT_STATE)

SHARED = (NETWORK, QOS_POLICY, SECURITY_GROUP, ADDRESS_SCOPE, ADDRESS_GROUP, SUBNETPOOL)
"""What an RBAC policy may share."""

ALL = (
    NETWORK,
    SUBNET,
    PORT,
    ROUTER,
    FLOATING_IP,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
    SUBNETPOOL,
    ADDRESS_SCOPE,
    ADDRESS_GROUP,
    RBAC_POLICY,
    TRUNK,
    SEGMENT,
    SEGMENT_RANGE,
    NDP_PROXY,
    LOCAL_IP,
    AGENT,
    QOS_POLICY,
    LOG,
    METERING_LABEL,
    METERING_RULE,
    BANDWIDTH_RULE,
    DSCP_RULE,
    MINIMUM_BANDWIDTH_RULE,
    MINIMUM_PACKET_RULE,
)
