"""Nova v2.1: every row of its API and the verb that serves it."""

from trio2o.domain.versions import Version
from trio2o.faces.compute import _aggregates as aggregates
from trio2o.faces.compute import _groups as groups
from trio2o.faces.compute import _keypairs as keypairs
from trio2o.faces.compute import _kinds as kinds
from trio2o.faces.compute import _lists as lists
from trio2o.faces.compute import _steps as steps
from trio2o.faces.compute import _totals as totals
from trio2o.faces.compute._down import ShowServer
from trio2o.faces.compute._events import external_events
from trio2o.faces.compute._flavors import with_flavor, with_flavor_id
from trio2o.faces.compute._lists import SERVERS, SERVERS_DETAIL
from trio2o.faces.compute._needs import server_needs
from trio2o.faces.compute._networks import over_pods
from trio2o.faces.compute._pins import in_zone, more_pins, with_pinned_zone
from trio2o.faces.compute._usage import UsagePages
from trio2o.faces.needs import volume_needs
from trio2o.faces.network_resources import (
    FLOATING_IP,
    NETWORK,
    PORT,
    SECURITY_GROUP,
    SECURITY_GROUP_RULE,
)
from trio2o.faces.resources import EXTENSION, FLAVOR, SERVER, SNAPSHOT, VOLUME
from trio2o.faces.totals import limits, quotas
from trio2o.verbs import (
    Anywhere,
    Everywhere,
    Forward,
    Named,
    Numbered,
    Operation,
    Place,
    Ref,
    Reply,
    Since,
    Total,
    definition_rows,
    rows,
)

PAGED_USAGE = Version(2, 40)

ATTACHED = Ref("volumeAttachment.volumeId", VOLUME)

INTERFACE = (Ref("interfaceAttachment.port_id", PORT), Ref("interfaceAttachment.net_id", NETWORK))

CREATE = Place(
    SERVER,
    refs=(
        Ref("server.networks.*.port", PORT),
        Ref("server.networks.*.uuid", NETWORK),
        Ref("server.block_device_mapping.*.volume_id", VOLUME),
        Ref("server.block_device_mapping.*.snapshot_id", SNAPSHOT),
        # the same key holds an image's id too: no volume or snapshot has that id, so no pin
        Ref("server.block_device_mapping_v2.*.uuid", VOLUME),
        Ref("server.block_device_mapping_v2.*.uuid", SNAPSHOT),
        Ref("os:scheduler_hints.same_host.*", SERVER),
        Ref("os:scheduler_hints.same_host", SERVER),
        Ref("OS-SCH-HNT:scheduler_hints.same_host.*", SERVER),
        Ref("OS-SCH-HNT:scheduler_hints.same_host", SERVER),
    ),
    zone="availability_zone",
    prepare=steps.prepared,
    lacking=steps.lacking,
    more=more_pins,
    needs=server_needs,
)

_ROWS: tuple[Operation, ...] = (
    *rows(Reply(steps.root), "GET / hot", open=True),
    *rows(Reply(steps.version), "GET /v2.1/ hot", "GET /v2/", open=True),
    *rows(Reply(steps.choices), "GET /{other}", open=True),
    *rows(Reply(steps.version_by_id), "GET /v2.1/versions/{id}"),
    *rows(CREATE, "POST /v2.1/os-volumes_boot 2.1-2.102", "POST /v2.1/servers"),
    *rows(SERVERS, "GET /v2.1/os-volumes_boot 2.1-2.102", "GET /v2.1/servers hot"),
    *rows(
        SERVERS_DETAIL, "GET /v2.1/os-volumes_boot/detail 2.1-2.102", "GET /v2.1/servers/detail hot"
    ),
    *rows(
        Forward(SERVER),
        """
        DELETE,PUT /v2.1/os-volumes_boot/{id} 2.1-2.102
        POST /v2.1/os-volumes_boot/{id}/action confirmResize createImage os-start os-stop 2.1-2.102
        POST /v2.1/os-volumes_boot/{id}/action reboot revertResize 2.1-2.102
        POST /v2.1/os-volumes_boot/{id}/action trigger_crash_dump 2.17-2.102
        DELETE /v2.1/servers/{id}
        POST /v2.1/servers/{id}/action addFixedIp addFloatingIp removeFixedIp 2.1-2.43
        POST /v2.1/servers/{id}/action removeFloatingIp 2.1-2.43
        POST /v2.1/servers/{id}/action addSecurityGroup changePassword confirmResize createBackup
        POST /v2.1/servers/{id}/action createImage evacuate forceDelete injectNetworkInfo lock
        POST /v2.1/servers/{id}/action migrate os-getConsoleOutput os-migrateLive os-resetState
        POST /v2.1/servers/{id}/action os-start os-stop pause reboot removeSecurityGroup rescue
        POST /v2.1/servers/{id}/action restore resume revertResize shelve shelveOffload suspend
        POST /v2.1/servers/{id}/action unlock unpause unrescue
        POST /v2.1/servers/{id}/action os-getRDPConsole os-getSPICEConsole 2.1-2.5
        POST /v2.1/servers/{id}/action os-getSerialConsole os-getVNCConsole 2.1-2.5
        POST /v2.1/servers/{id}/action trigger_crash_dump 2.17-
        """,
    ),
    *rows(
        Forward(SERVER, "server_id"),
        """
        GET /v2.1/servers/{server_id}/[diagnostics|os-security-groups]
        GET /v2.1/servers/{server_id}/[ips|os-instance-actions][/{id}]
        GET /v2.1/servers/{server_id}/[os-interface|os-volume_attachments]
        GET,POST,PUT /v2.1/servers/{server_id}/metadata
        DELETE,GET,PUT /v2.1/servers/{server_id}/metadata/{id}
        GET /v2.1/servers/{server_id}/migrations[/{id}] 2.23-
        DELETE /v2.1/servers/{server_id}/migrations/{id} 2.24-
        POST /v2.1/servers/{server_id}/migrations/{id}/action force_complete 2.22-
        DELETE,GET /v2.1/servers/{server_id}/[os-interface|os-volume_attachments]/{id}
        DELETE,GET /v2.1/servers/{server_id}/os-server-password
        POST /v2.1/servers/{server_id}/remote-consoles 2.6-
        GET,POST /v2.1/servers/{server_id}/shares 2.97-
        DELETE,GET /v2.1/servers/{server_id}/shares/{id} 2.97-
        DELETE,GET,PUT /v2.1/servers/{server_id}/tags[/{id}] 2.26-
        GET /v2.1/servers/{server_id}/topology 2.78-
        """,
    ),
    *rows(ShowServer(), "GET /v2.1/os-volumes_boot/{id} 2.1-2.102", "GET /v2.1/servers/{id} hot"),
    *rows(Forward(SERVER, prepare=with_pinned_zone), "PUT /v2.1/servers/{id}"),
    *rows(Forward(SERVER, prepare=in_zone("unshelve")), "POST /v2.1/servers/{id}/action unshelve"),
    *rows(
        Forward(SERVER, prepare=with_flavor),
        "POST /v2.1/os-volumes_boot/{id}/action resize 2.1-2.102",
        "POST /v2.1/servers/{id}/action resize",
    ),
    *rows(
        Forward(SERVER, prepare=keypairs.with_keypair),
        "POST /v2.1/os-volumes_boot/{id}/action rebuild 2.1-2.102",
        "POST /v2.1/servers/{id}/action rebuild",
    ),
    *rows(
        Forward(SERVER, "server_id", refs=(ATTACHED,)),
        "POST /v2.1/servers/{server_id}/os-volume_attachments",
        "PUT /v2.1/servers/{server_id}/os-volume_attachments/{id}",
    ),
    *rows(
        Forward(SERVER, "server_id", refs=INTERFACE), "POST /v2.1/servers/{server_id}/os-interface"
    ),
    *definition_rows(
        "flavor",
        FLAVOR,
        """
        GET,POST /v2.1/flavors
        GET /v2.1/flavors/detail
        DELETE,GET /v2.1/flavors/{id}
        PUT /v2.1/flavors/{id} 2.55-
        POST /v2.1/flavors/{id}/action addTenantAccess removeTenantAccess
        GET,POST /v2.1/flavors/{flavor_id}/os-extra_specs
        DELETE,GET,PUT /v2.1/flavors/{flavor_id}/os-extra_specs/{id}
        GET /v2.1/flavors/{flavor_id}/os-flavor-access
        """,
        prepare=with_flavor_id,
    ),
    *rows(Reply(steps.zones), "GET /v2.1/os-availability-zone"),
    *rows(
        Reply(steps.zones_detail),
        "GET /v2.1/os-availability-zone/detail",
        policy="os_compute_api:os-availability-zone:detail",
    ),
    *rows(
        Reply(aggregates.list_aggregates),
        "GET /v2.1/os-aggregates",
        policy="os_compute_api:os-aggregates:index",
    ),
    *rows(
        Reply(aggregates.show_aggregate),
        "GET /v2.1/os-aggregates/{id}",
        policy="os_compute_api:os-aggregates:show",
    ),
    *rows(aggregates.create_aggregate, "POST /v2.1/os-aggregates"),
    *rows(aggregates.delete_aggregate, "DELETE /v2.1/os-aggregates/{id}"),
    *rows(aggregates.update_aggregate, "PUT /v2.1/os-aggregates/{id}"),
    *rows(aggregates.add_host, "POST /v2.1/os-aggregates/{id}/action add_host"),
    *rows(aggregates.remove_host, "POST /v2.1/os-aggregates/{id}/action remove_host"),
    *rows(aggregates.set_metadata, "POST /v2.1/os-aggregates/{id}/action set_metadata"),
    *rows(aggregates.cache_images, "POST /v2.1/os-aggregates/{id}/images 2.81-"),
    *rows(Anywhere(EXTENSION), "GET /v2.1/extensions[/{id}]"),
    *rows(
        steps.GONE,
        """
        GET,POST /v2.1/[os-agents|os-cells|os-cloudpipe|os-floating-ips-bulk]
        DELETE,PUT /v2.1/[os-agents|os-floating-ip-dns]/{id}
        GET /v2.1/os-cells/[capacities|detail|info]
        POST /v2.1/os-cells/sync_instances
        DELETE,GET,PUT /v2.1/os-cells/{id}
        GET /v2.1/os-cells/{id}/capacities
        POST /v2.1/[os-certificates|os-networks|os-tenant-networks]
        GET /v2.1/[os-certificates|os-fixed-ips]/{id}
        PUT /v2.1/os-cloudpipe/{id}
        POST /v2.1/os-fixed-ips/{id}/action reserve unreserve
        GET /v2.1/os-floating-ip-dns
        DELETE,GET,PUT /v2.1/os-floating-ip-dns/{domain_id}/entries/{id}
        GET,PUT /v2.1/os-floating-ips-bulk/{id}
        GET /v2.1/os-fping[/{id}]
        POST /v2.1/os-networks/add
        DELETE /v2.1/[os-networks|os-tenant-networks]/{id}
        POST /v2.1/os-networks/{id}/action associate_host disassociate disassociate_host
        POST /v2.1/os-networks/{id}/action disassociate_project
        GET,POST /v2.1/os-security-group-default-rules
        DELETE,GET /v2.1/os-security-group-default-rules/{id}
        POST /v2.1/servers/{id}/action resetNetwork
        GET,POST /v2.1/servers/{server_id}/consoles
        DELETE,GET /v2.1/servers/{server_id}/consoles/{id}
        GET /v2.1/servers/{server_id}/os-virtual-interfaces
        """,
    ),
    *rows(
        Anywhere(kinds.IMAGE),
        """
        GET /v2.1/images[/detail] 2.1-2.35
        DELETE,GET /v2.1/images/{id} 2.1-2.35
        GET,POST,PUT /v2.1/images/{image_id}/metadata 2.1-2.38
        DELETE,GET,PUT /v2.1/images/{image_id}/metadata/{id} 2.1-2.38
        """,
    ),
    *rows(Anywhere(kinds.CONSOLE), "GET /v2.1/os-console-auth-tokens/{id}"),
    *rows(Total(limits, groups.count_groups), "GET /v2.1/limits"),
    *rows(
        Total(quotas, groups.count_groups),
        "GET /v2.1/os-quota-sets/{id}[/defaults]",
        "GET /v2.1/os-quota-sets/{id}/detail",
    ),
    *rows(Anywhere(kinds.QUOTA_CLASS), "GET /v2.1/os-quota-class-sets/{id}"),
    *rows(
        Everywhere(), "PUT /v2.1/os-quota-class-sets/{id}", "DELETE,PUT /v2.1/os-quota-sets/{id}"
    ),
    *rows(Total(totals.statistics), "GET /v2.1/os-hypervisors/statistics 2.1-2.87"),
    *rows(Total(totals.audits), "GET /v2.1/os-instance_usage_audit_log"),
    *rows(Total(totals.one_audit), "GET /v2.1/os-instance_usage_audit_log/{id}"),
    *rows(
        Since(PAGED_USAGE, UsagePages("tenant_usages"), Total(totals.usages)),
        "GET /v2.1/os-simple-tenant-usage",
    ),
    *rows(
        Since(PAGED_USAGE, UsagePages("tenant_usage"), Total(totals.usage)),
        "GET /v2.1/os-simple-tenant-usage/{id}",
    ),
    *rows(lists.HYPERVISORS, "GET /v2.1/os-hypervisors[/detail]"),
    *rows(lists.HYPERVISORS_FOUND, "GET /v2.1/os-hypervisors/{id}/[search|servers] 2.1-2.52"),
    *rows(
        Forward(kinds.HYPERVISOR, "hypervisor_uuid"),
        "GET /v2.1/os-hypervisors/{hypervisor_uuid} 2.53-",
        "GET /v2.1/os-hypervisors/{hypervisor_uuid}/uptime 2.53-2.87",
    ),
    *rows(
        Numbered(kinds.HYPERVISOR, "integer_id"),
        "GET /v2.1/os-hypervisors/{integer_id}[/uptime] 2.1-2.52",
    ),
    *rows(lists.SERVICES, "GET /v2.1/os-services"),
    *rows(
        Named(kinds.SERVICE, "host", key="host"),
        "PUT /v2.1/os-services/[disable|disable-log-reason|enable] 2.1-2.52",
        "PUT /v2.1/os-services/force-down 2.11-2.52",
    ),
    *rows(Numbered(kinds.SERVICE, "integer_id"), "DELETE /v2.1/os-services/{integer_id} 2.1-2.52"),
    *rows(
        Forward(kinds.SERVICE, "service_uuid"), "DELETE,PUT /v2.1/os-services/{service_uuid} 2.53-"
    ),
    *rows(lists.HOSTS, "GET /v2.1/os-hosts 2.1-2.42"),
    *rows(
        Named(kinds.HOST, "host_name", param="id"),
        "GET,PUT /v2.1/os-hosts/{id} 2.1-2.42",
        "GET /v2.1/os-hosts/{id}/[reboot|shutdown|startup] 2.1-2.42",
    ),
    *rows(lists.MIGRATIONS, "GET /v2.1/os-migrations"),
    *rows(Reply(external_events), "POST /v2.1/os-server-external-events"),
    *rows(
        Forward(VOLUME, id_of=steps.assisted_volume),
        "POST /v2.1/os-assisted-volume-snapshots",
        "DELETE /v2.1/os-assisted-volume-snapshots/{id}",
    ),
    *rows(lists.NODES, "GET /v2.1/os-baremetal-nodes 2.1-2.35"),
    *rows(Forward(kinds.NODE), "GET /v2.1/os-baremetal-nodes/{id} 2.1-2.35"),
    *rows(
        Anywhere(kinds.NODE),
        "POST /v2.1/os-baremetal-nodes 2.1-2.35",
        "DELETE /v2.1/os-baremetal-nodes/{id} 2.1-2.35",
        "POST /v2.1/os-baremetal-nodes/{id}/action add_interface remove_interface 2.1-2.35",
    ),
    *rows(lists.NETWORKS, "GET /v2.1/os-networks 2.1-2.35"),
    *rows(lists.TENANT_NETWORKS, "GET /v2.1/os-tenant-networks 2.1-2.35"),
    *rows(Forward(NETWORK), "GET /v2.1/[os-networks|os-tenant-networks]/{id} 2.1-2.35"),
    *rows(lists.FLOATING_IP_POOLS, "GET /v2.1/os-floating-ip-pools 2.1-2.35"),
    *rows(lists.FLOATING_IPS, "GET /v2.1/os-floating-ips 2.1-2.35"),
    *rows(Place(kinds.FLOATING_IP_SHOWN), "POST /v2.1/os-floating-ips 2.1-2.35"),
    *rows(Forward(FLOATING_IP), "DELETE,GET /v2.1/os-floating-ips/{id} 2.1-2.35"),
    *rows(lists.GROUPS, "GET /v2.1/os-security-groups 2.1-2.35"),
    *rows(Place(kinds.GROUP_SHOWN), "POST /v2.1/os-security-groups 2.1-2.35"),
    *rows(Forward(SECURITY_GROUP), "DELETE,GET,PUT /v2.1/os-security-groups/{id} 2.1-2.35"),
    *rows(
        Place(kinds.RULE_SHOWN, refs=(Ref("security_group_rule.parent_group_id", SECURITY_GROUP),)),
        "POST /v2.1/os-security-group-rules 2.1-2.35",
    ),
    *rows(Forward(SECURITY_GROUP_RULE), "DELETE /v2.1/os-security-group-rules/{id} 2.1-2.35"),
    *rows(lists.VOLUMES_SHOWN, "GET /v2.1/os-volumes[/detail] 2.1-2.35"),
    *rows(
        Place(
            kinds.VOLUME_SHOWN,
            refs=(Ref("volume.snapshot_id", SNAPSHOT),),
            zone="availability_zone",
            needs=volume_needs,
            follows=True,
        ),
        "POST /v2.1/os-volumes 2.1-2.35",
    ),
    *rows(Forward(VOLUME), "DELETE,GET /v2.1/os-volumes/{id} 2.1-2.35"),
    *rows(lists.SNAPSHOTS_SHOWN, "GET /v2.1/os-snapshots[/detail] 2.1-2.35"),
    *rows(
        Place(kinds.SNAPSHOT_SHOWN, refs=(Ref("snapshot.volume_id", VOLUME),)),
        "POST /v2.1/os-snapshots 2.1-2.35",
    ),
    *rows(Forward(SNAPSHOT), "DELETE,GET /v2.1/os-snapshots/{id} 2.1-2.35"),
    *rows(Reply(keypairs.list_keypairs), "GET /v2.1/os-keypairs"),
    *rows(Reply(keypairs.create_keypair), "POST /v2.1/os-keypairs"),
    *rows(Reply(keypairs.show_keypair), "GET /v2.1/os-keypairs/{id}"),
    *rows(Reply(keypairs.delete_keypair), "DELETE /v2.1/os-keypairs/{id}"),
    *rows(Reply(groups.list_groups), "GET /v2.1/os-server-groups"),
    *rows(Reply(groups.create_group), "POST /v2.1/os-server-groups"),
    *rows(Reply(groups.show_group), "GET /v2.1/os-server-groups/{id}"),
    *rows(Reply(groups.delete_group), "DELETE /v2.1/os-server-groups/{id}"),
)

OPERATIONS = over_pods(_ROWS)
