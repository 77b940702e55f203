"""Neutron v2.0, each network in one pod: every row of its API and the verb that serves it."""

from __future__ import annotations

from trio2o.faces import network_resources as kinds
from trio2o.faces._health import healthy
from trio2o.faces.network._lists import (
    AVAILABILITIES,
    NO_PUT,
    TAGS,
    USUAL,
    elsewhere,
    lives,
    one_default,
    whole,
)
from trio2o.faces.network._shared import (
    FLAVOR_KIND,
    PROFILE_KIND,
    all_quotas,
    quota,
    set_quota,
    topology,
    with_flavor,
    with_profile,
)
from trio2o.faces.network._steps import (
    QUOTAS_NOT_MADE,
    core_resources,
    extension,
    extensions,
    root,
    zones,
)
from trio2o.faces.network._stretched import over_pods
from trio2o.verbs import (
    Anywhere,
    Everywhere,
    Forward,
    Operation,
    Ref,
    Reply,
    Total,
    definition_rows,
    rows,
)

_ROWS: tuple[Operation, ...] = (
    *lives(
        kinds.NETWORK, USUAL, TAGS, "GET ~/{network_id}/dhcp-agents", zone="availability_zone_hints"
    ),
    *lives(
        kinds.SUBNET,
        USUAL,
        TAGS,
        refs=(Ref("subnet.network_id", kinds.NETWORK), Ref("subnets.*.network_id", kinds.NETWORK)),
    ),
    *lives(
        kinds.PORT,
        USUAL,
        TAGS,
        """
        GET,POST ~/{port_id}/bindings
        DELETE,GET,PUT ~/{port_id}/bindings/{host}
        PUT ~/{port_id}/bindings/{host}/activate activate
        """,
        refs=(
            Ref("port.network_id", kinds.NETWORK),
            Ref("ports.*.network_id", kinds.NETWORK),
            Ref("port.security_groups.*", kinds.SECURITY_GROUP),
        ),
    ),
    *lives(
        kinds.ROUTER,
        USUAL,
        TAGS,
        """
        PUT ~/{id}/add_external_gateways add_external_gateways
        PUT ~/{id}/add_extraroutes add_extraroutes
        PUT ~/{id}/add_router_interface add_router_interface
        PUT ~/{id}/remove_external_gateways remove_external_gateways
        PUT ~/{id}/remove_extraroutes remove_extraroutes
        PUT ~/{id}/remove_router_interface remove_router_interface
        PUT ~/{id}/update_external_gateways update_external_gateways
        GET,POST ~/{router_id}/conntrack_helpers
        DELETE,GET,PUT ~/{router_id}/conntrack_helpers/{id}
        GET ~/{router_id}/l3-agents
        """,
        zone="availability_zone_hints",
        refs=(
            Ref("router.external_gateway_info.network_id", kinds.NETWORK),
            Ref("router.external_gateways.*.network_id", kinds.NETWORK),
            Ref("subnet_id", kinds.SUBNET),
            Ref("port_id", kinds.PORT),
        ),
        prepare=with_flavor,
    ),
    *lives(
        kinds.FLOATING_IP,
        USUAL,
        TAGS,
        """
        GET,POST ~/{floatingip_id}/port_forwardings
        DELETE,GET,PUT ~/{floatingip_id}/port_forwardings/{id}
        """,
        refs=(
            Ref("floatingip.floating_network_id", kinds.NETWORK),
            Ref("floatingip.port_id", kinds.PORT),
        ),
    ),
    *lives(kinds.SECURITY_GROUP, USUAL, TAGS, same=one_default),
    *lives(
        kinds.SECURITY_GROUP_RULE,
        NO_PUT,
        refs=(
            Ref("security_group_rule.security_group_id", kinds.SECURITY_GROUP),
            Ref("security_group_rules.*.security_group_id", kinds.SECURITY_GROUP),
        ),
    ),
    *lives(
        kinds.SUBNETPOOL,
        USUAL,
        TAGS,
        """
        PUT ~/{id}/add_prefixes add_prefixes
        PUT ~/{id}/onboard_network_subnets onboard_network_subnets
        PUT ~/{id}/remove_prefixes remove_prefixes
        """,
    ),
    *lives(kinds.ADDRESS_SCOPE, USUAL),
    *lives(
        kinds.ADDRESS_GROUP,
        USUAL,
        """
        PUT ~/{id}/add_addresses add_addresses
        PUT ~/{id}/remove_addresses remove_addresses
        """,
    ),
    *lives(
        kinds.RBAC_POLICY,
        USUAL,
        refs=tuple(Ref("rbac_policy.object_id", kind) for kind in kinds.SHARED),
    ),
    *lives(
        kinds.TRUNK,
        USUAL,
        TAGS,
        """
        PUT ~/{id}/add_subports add_subports
        GET ~/{id}/get_subports get_subports
        PUT ~/{id}/remove_subports remove_subports
        """,
        refs=(
            Ref("trunk.port_id", kinds.PORT),
            Ref("trunk.sub_ports.*.port_id", kinds.PORT),
            Ref("sub_ports.*.port_id", kinds.PORT),
        ),
    ),
    *lives(kinds.SEGMENT, USUAL, refs=(Ref("segment.network_id", kinds.NETWORK),)),
    *lives(kinds.SEGMENT_RANGE, USUAL, TAGS),
    *lives(
        kinds.NDP_PROXY,
        USUAL,
        refs=(Ref("ndp_proxy.port_id", kinds.PORT), Ref("ndp_proxy.router_id", kinds.ROUTER)),
    ),
    *lives(
        kinds.LOCAL_IP,
        USUAL,
        """
        GET,POST /v2.0/local_ips/{local_ip_id}/port_associations
        DELETE,GET /v2.0/local_ips/{local_ip_id}/port_associations/{fixed_port_id}
        """,
        refs=(
            Ref("local_ip.network_id", kinds.NETWORK),
            Ref("local_ip.local_port_id", kinds.PORT),
            Ref("port_association.fixed_port_id", kinds.PORT),
        ),
    ),
    *lives(
        kinds.AGENT,
        """
        GET ~
        GET,POST ~/{agent_id}/dhcp-networks
        DELETE ~/{agent_id}/dhcp-networks/{network_id}
        GET,POST ~/{agent_id}/l3-routers
        DELETE,PUT ~/{agent_id}/l3-routers/{router_id}
        DELETE,GET,PUT ~/{id}
        """,
    ),
    *lives(
        kinds.QOS_POLICY,
        USUAL,
        """
        DELETE,GET,POST,PUT /v2.0/policies/{id}/tags
        DELETE,GET,PUT /v2.0/policies/{id}/tags/{tag}
        GET,POST ~/{policy_id}/bandwidth_limit_rules
        DELETE,GET,PUT ~/{policy_id}/bandwidth_limit_rules/{id}
        GET,POST ~/{policy_id}/dscp_marking_rules
        DELETE,GET,PUT ~/{policy_id}/dscp_marking_rules/{id}
        GET,POST ~/{policy_id}/minimum_bandwidth_rules
        DELETE,GET,PUT ~/{policy_id}/minimum_bandwidth_rules/{id}
        GET,POST ~/{policy_id}/minimum_packet_rate_rules
        DELETE,GET,PUT ~/{policy_id}/minimum_packet_rate_rules/{id}
        GET,POST ~/{policy_id}/packet_rate_limit_rules
        DELETE,GET,PUT ~/{policy_id}/packet_rate_limit_rules/{id}
        """,
    ),
    *lives(kinds.LOG, USUAL),
    *lives(kinds.METERING_LABEL, NO_PUT),
    *lives(
        kinds.METERING_RULE,
        NO_PUT,
        refs=(Ref("metering_label_rule.metering_label_id", kinds.METERING_LABEL),),
    ),
    *rows(Reply(root), "GET / hot", open=True),
    *rows(Reply(healthy), "GET /healthcheck", open=True),
    *rows(Reply(core_resources), "GET /v2.0/"),
    *rows(Anywhere(kinds.AGENT), "POST /v2.0/agents"),
    *rows(Reply(topology), "DELETE,GET /v2.0/auto-allocated-topology/{project_id}"),
    *rows(Reply(zones), "GET /v2.0/availability_zones"),
    *elsewhere(
        """
        bgp-peers bgp-speakers bgpvpn/bgpvpns
        bgpvpn/bgpvpns/{bgpvpn_id}/network_associations
        bgpvpn/bgpvpns/{bgpvpn_id}/port_associations
        bgpvpn/bgpvpns/{bgpvpn_id}/router_associations
        fwaas/firewall_groups fwaas/firewall_policies fwaas/firewall_rules
        sfc/flow_classifiers sfc/port_chains sfc/port_pair_groups sfc/port_pairs
        taas/tap_flows taas/tap_mirrors taas/tap_services
        vpn/endpoint-groups vpn/ikepolicies vpn/ipsec-site-connections vpn/ipsecpolicies
        vpn/vpnservices
        """,
        """
        PUT /v2.0/bgp-speakers/{id}/add_bgp_peer add_bgp_peer
        PUT /v2.0/bgp-speakers/{id}/add_gateway_network add_gateway_network
        GET /v2.0/bgp-speakers/{id}/get_advertised_routes get_advertised_routes
        PUT /v2.0/bgp-speakers/{id}/remove_bgp_peer remove_bgp_peer
        PUT /v2.0/bgp-speakers/{id}/remove_gateway_network remove_gateway_network
        GET /v2.0/flavors/{flavor_id}/next_providers
        PUT /v2.0/fwaas/firewall_policies/{id}/insert_rule insert_rule
        PUT /v2.0/fwaas/firewall_policies/{id}/remove_rule remove_rule
        """,
    ),
    *definition_rows(
        "default_group_rule",
        kinds.DEFAULT_RULE,
        """
        GET,POST /v2.0/default-security-group-rules
        DELETE,GET /v2.0/default-security-group-rules/{id}
        """,
    ),
    *rows(Reply(extension), "GET /v2.0/extensions/{alias}"),
    *rows(Reply(extensions), "GET /v2.0/extensions"),
    *definition_rows(
        FLAVOR_KIND,
        kinds.FLAVOR,
        """
        GET,POST /v2.0/flavors
        POST /v2.0/flavors/{flavor_id}/service_profiles
        DELETE,GET /v2.0/flavors/{flavor_id}/service_profiles/{id}
        DELETE,GET,PUT /v2.0/flavors/{id}
        """,
        fit=with_profile,
    ),
    *rows(whole(kinds.FLOATING_IP_POOL, "subnet_id"), "GET /v2.0/floatingip-pools"),
    *rows(whole(kinds.LOGGABLE, "type"), "GET /v2.0/log/loggable-resources"),
    *rows(Forward(kinds.NETWORK, "network_id"), "GET /v2.0/network-ip-availabilities/{network_id}"),
    *rows(AVAILABILITIES, "GET /v2.0/network-ip-availabilities"),
    *lives(kinds.BANDWIDTH_RULE, "DELETE,GET,PUT /v2.0/qos/alias_bandwidth_limit_rules/{id}"),
    *lives(kinds.DSCP_RULE, "DELETE,GET,PUT /v2.0/qos/alias_dscp_marking_rules/{id}"),
    *lives(
        kinds.MINIMUM_BANDWIDTH_RULE, "DELETE,GET,PUT /v2.0/qos/alias_minimum_bandwidth_rules/{id}"
    ),
    *lives(
        kinds.MINIMUM_PACKET_RULE, "DELETE,GET,PUT /v2.0/qos/alias_minimum_packet_rate_rules/{id}"
    ),
    *rows(Anywhere(kinds.QOS_RULE_TYPE, "rule_type"), "GET /v2.0/qos/rule-types/{rule_type}"),
    *rows(whole(kinds.QOS_RULE_TYPE, "type"), "GET /v2.0/qos/rule-types"),
    *rows(
        Anywhere(kinds.QUOTA),
        """
        GET /v2.0/quotas/project
        GET /v2.0/quotas/tenant
        """,
    ),
    *rows(Total(all_quotas), "GET /v2.0/quotas"),
    *rows(Everywhere(), "DELETE /v2.0/quotas/{project_id}"),
    *rows(Reply(set_quota), "PUT /v2.0/quotas/{project_id}"),
    *rows(
        Total(quota),
        """
        GET /v2.0/quotas/{project_id}
        GET /v2.0/quotas/{project_id}/default
        GET /v2.0/quotas/{project_id}/details
        """,
    ),
    *rows(QUOTAS_NOT_MADE, "POST /v2.0/quotas"),
    *definition_rows(
        "default_group_state",
        kinds.DEFAULT_STATE,
        """
        GET,POST /v2.0/security-groups-default-statefulness
        DELETE,GET,PUT /v2.0/security-groups-default-statefulness/{id}
        """,
    ),
    *rows(whole(kinds.SERVICE_PROVIDER, "name"), "GET /v2.0/service-providers"),
    *definition_rows(
        PROFILE_KIND,
        kinds.SERVICE_PROFILE,
        """
        GET,POST /v2.0/service_profiles
        DELETE,GET,PUT /v2.0/service_profiles/{id}
        """,
    ),
)

OPERATIONS = over_pods(_ROWS)
