"""Neutron's other kinds of things."""

from __future__ import annotations

from trio2o.faces.resources import (
    FLOATING_IP,
    NETWORK,
    PORT,
    ROUTER,
    SECURITY_GROUP,
    SUBNET,
    network_kind,
)

SECURITY_GROUP_RULE = network_kind("security_group_rule", "SecurityGroupRuleNotFound")
SUBNETPOOL = network_kind("subnetpool", "SubnetPoolNotFound")
ADDRESS_SCOPE = network_kind("address_scope", "AddressScopeNotFound")
ADDRESS_GROUP = network_kind("address_group", "AddressGroupNotFound")
RBAC_POLICY = network_kind("rbac_policy", "RbacPolicyNotFound", rows="rbac_policies")
TRUNK = network_kind("trunk", "TrunkNotFound")
SEGMENT = network_kind("segment", "SegmentNotFound")
SEGMENT_RANGE = network_kind("network_segment_range", "NetworkSegmentRangeNotFound")
NDP_PROXY = network_kind("ndp_proxy", "NDPProxyNotFound", rows="ndp_proxies")
LOCAL_IP = network_kind("local_ip", "LocalIPNotFound")
AGENT = network_kind("agent", "AgentNotFound")
QOS_POLICY = network_kind("policy", "QosPolicyNotFound", "/qos/policies", "policies")
LOG = network_kind("log", "LogResourceNotFound", "/log/logs")
METERING_LABEL = network_kind(
    "metering_label", "MeteringLabelNotFound", "/metering/metering-labels"
)
METERING_RULE = network_kind(
    "metering_label_rule", "MeteringLabelRuleNotFound", "/metering/metering-label-rules"
)

BANDWIDTH_RULE = network_kind(
    "alias_bandwidth_limit_rule", "QosRuleNotFound", "/qos/alias_bandwidth_limit_rules"
)
DSCP_RULE = network_kind(
    "alias_dscp_marking_rule", "QosRuleNotFound", "/qos/alias_dscp_marking_rules"
)
MINIMUM_BANDWIDTH_RULE = network_kind(
    "alias_minimum_bandwidth_rule", "QosRuleNotFound", "/qos/alias_minimum_bandwidth_rules"
)
MINIMUM_PACKET_RULE = network_kind(
    "alias_minimum_packet_rate_rule", "QosRuleNotFound", "/qos/alias_minimum_packet_rate_rules"
)

# these have no id, or one that is a name: they are gathered, or asked of any pod
FLOATING_IP_POOL = network_kind("floatingip_pool", "HTTPNotFound")
LOGGABLE = network_kind("loggable_resource", "HTTPNotFound", "/log/loggable-resources")
SERVICE_PROVIDER = network_kind("service_provider", "HTTPNotFound")
QOS_RULE_TYPE = network_kind("rule_type", "QosRuleTypeNotFound", "/qos/rule-types")
QUOTA = network_kind("quota", "HTTPNotFound")
AVAILABILITY = network_kind(
    "network_ip_availability", "NetworkNotFound", rows="network_ip_availabilities"
)
EXTENSION = network_kind("extension", "ExtensionNotFound")

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
