"""Cinder v3: every row of its API and the verb that serves it."""

from typing import Any

from attrs import evolve

from trio2o.domain.resources import Resource
from trio2o.domain.versions import Version
from trio2o.faces import volume_resources as kinds
from trio2o.faces._health import healthy
from trio2o.faces.needs import volume_needs
from trio2o.faces.resources import SERVER, SNAPSHOT, VOLUME, VOLUME_TYPE
from trio2o.faces.totals import limits, quotas
from trio2o.faces.volume import _lists as lists
from trio2o.faces.volume import _totals as totals
from trio2o.faces.volume import _types as types
from trio2o.faces.volume._moves import accept, backend_pins, with_backend
from trio2o.faces.volume._steps import embedded, root, version, zones
from trio2o.faces.volume._types import GROUP_TYPE as GROUP_KIND
from trio2o.verbs import (
    Anywhere,
    Define,
    Everywhere,
    Forward,
    Named,
    Operation,
    Place,
    Ref,
    Reply,
    Since,
    Total,
    definition_rows,
    rows,
)

_HINTS = "OS-SCH-HNT:scheduler_hints"


def _zoned(kind: Resource, named: types.TypesNamed | None = None, **more: Any) -> Place:
    """Made in the AZ that its body names, where the types that it names are as they are."""
    place = Place(
        kind, zone="availability_zone", no_zone="Availability zone '{zone}' is invalid.", **more
    )
    return evolve(place, prepare=named, lacking=named.lacking) if named else place


CREATE_VOLUME = _zoned(
    VOLUME,
    types.VOLUME_TYPE_NAMED,
    refs=(
        Ref("volume.snapshot_id", SNAPSHOT),
        Ref("volume.source_volid", VOLUME),
        Ref("volume.backup_id", kinds.BACKUP),
        Ref("volume.group_id", kinds.GROUP),
        Ref("volume.consistencygroup_id", kinds.CONSISTENCY_GROUP),
        Ref(f"{_HINTS}.same_host", VOLUME),
        Ref(f"{_HINTS}.same_host.*", VOLUME),
        Ref(f"{_HINTS}.local_to_instance", SERVER),
    ),
    needs=volume_needs,
    follows=True,
)
# from here on Cinder makes a volume of the snapshot that an image embeds
CREATE_VOLUME_OF_IMAGE = evolve(CREATE_VOLUME, more=embedded)
IMAGES_EMBED = Version(3, 46)

CREATE_SNAPSHOT = Place(SNAPSHOT, refs=(Ref("snapshot.volume_id", VOLUME),))

MANAGE_VOLUME = _zoned(VOLUME, more=backend_pins, prepare=with_backend)

BACKEND = Named(kinds.SERVICE, "host", key="host", also=("cluster",))

MANAGEABLE = evolve(BACKEND, in_query=True)

OPERATIONS: tuple[Operation, ...] = (
    *rows(Reply(root), "GET / hot", open=True),
    *rows(Reply(version), "GET /v3/ hot"),
    *rows(Reply(healthy), "GET /healthcheck", open=True),
    *rows(Since(IMAGES_EMBED, CREATE_VOLUME_OF_IMAGE, CREATE_VOLUME), "POST /v3/volumes"),
    *rows(lists.VOLUMES, "GET /v3/volumes hot"),
    *rows(lists.VOLUMES_DETAIL, "GET /v3/volumes/detail hot"),
    *rows(
        Forward(VOLUME),
        """
        DELETE,PUT /v3/volumes/{id}
        GET /v3/volumes/{id} hot
        POST /v3/volumes/{id}/action os-begin_detaching os-detach os-extend
        POST /v3/volumes/{id}/action os-extend_volume_completion os-force_delete os-force_detach
        POST /v3/volumes/{id}/action os-initialize_connection os-migrate_volume os-reserve
        POST /v3/volumes/{id}/action os-reset_status os-roll_detaching os-set_bootable
        POST /v3/volumes/{id}/action os-set_image_metadata os-show_image_metadata
        POST /v3/volumes/{id}/action os-terminate_connection os-unmanage os-unreserve
        POST /v3/volumes/{id}/action os-unset_image_metadata os-update_readonly_flag
        POST /v3/volumes/{id}/action os-volume_upload_image
        POST /v3/volumes/{id}/action os-reimage 3.68-
        """,
    ),
    *rows(
        Forward(VOLUME, "volume_id"),
        "GET /v3/volumes/{volume_id}/encryption[/{id}]",
        "GET,POST,PUT /v3/volumes/{volume_id}/metadata",
        "DELETE,GET,PUT /v3/volumes/{volume_id}/metadata/{id}",
    ),
    *rows(CREATE_SNAPSHOT, "POST /v3/snapshots"),
    *rows(lists.SNAPSHOTS, "GET /v3/snapshots"),
    *rows(lists.SNAPSHOTS_DETAIL, "GET /v3/snapshots/detail"),
    *rows(
        Forward(SNAPSHOT),
        "DELETE,GET,PUT /v3/snapshots/{id}",
        "POST /v3/snapshots/{id}/action os-force_delete os-reset_status os-unmanage",
        "POST /v3/snapshots/{id}/action os-update_snapshot_status",
    ),
    *rows(
        Forward(SNAPSHOT, "snapshot_id"),
        "GET,POST,PUT /v3/snapshots/{snapshot_id}/metadata",
        "DELETE,GET,PUT /v3/snapshots/{snapshot_id}/metadata/{id}",
    ),
    *rows(Reply(zones), "GET /v3/os-availability-zone"),
    *rows(Anywhere(kinds.EXTENSION), "GET /v3/extensions[/{id}]"),
    *rows(
        Forward(VOLUME, refs=(Ref("os-attach.instance_uuid", SERVER),)),
        "POST /v3/volumes/{id}/action os-attach",
    ),
    *rows(
        Forward(VOLUME, refs=(Ref("os-migrate_volume_completion.new_volume", VOLUME),)),
        "POST /v3/volumes/{id}/action os-migrate_volume_completion",
    ),
    *rows(
        Forward(VOLUME, refs=(Ref("revert.snapshot_id", SNAPSHOT),)),
        "POST /v3/volumes/{id}/action revert 3.40-",
    ),
    *rows(Total(totals.summary), "GET /v3/volumes/summary 3.12-"),
    *rows(lists.ATTACHMENTS, "GET /v3/attachments 3.27-"),
    *rows(lists.ATTACHMENTS_DETAIL, "GET /v3/attachments/detail 3.27-"),
    *rows(
        Place(
            kinds.ATTACHMENT,
            refs=(Ref("attachment.volume_uuid", VOLUME), Ref("attachment.instance_uuid", SERVER)),
        ),
        "POST /v3/attachments 3.27-",
    ),
    *rows(
        Forward(kinds.ATTACHMENT),
        "DELETE,GET,PUT /v3/attachments/{id} 3.27-",
        "POST /v3/attachments/{id}/action os-complete 3.44-",
    ),
    *rows(lists.BACKUPS, "GET /v3/backups"),
    *rows(lists.BACKUPS_DETAIL, "GET /v3/backups/detail"),
    *rows(
        _zoned(
            kinds.BACKUP,
            refs=(Ref("backup.volume_id", VOLUME), Ref("backup.snapshot_id", SNAPSHOT)),
        ),
        "POST /v3/backups",
    ),
    # nothing in a record tells a pod: an admin may name an AZ in it, which pods are not told
    *rows(
        _zoned(kinds.BACKUP_RECORD, send_zone=False, follows=True), "POST /v3/backups/import_record"
    ),
    *rows(
        Forward(kinds.BACKUP, copies=True),
        """
        DELETE,GET /v3/backups/{id}
        PUT /v3/backups/{id} 3.9-
        POST /v3/backups/{id}/action os-force_delete os-reset_status
        GET /v3/backups/{id}/export_record
        """,
    ),
    *rows(
        Forward(
            kinds.BACKUP,
            refs=(Ref("restore.volume_id", VOLUME),),
            makes=(Ref("restore.volume_id", VOLUME),),
            copies=True,
        ),
        "POST /v3/backups/{id}/restore",
    ),
    *rows(lists.GROUPS, "GET /v3/groups 3.13-"),
    *rows(lists.GROUPS_DETAIL, "GET /v3/groups/detail 3.13-"),
    *rows(_zoned(kinds.GROUP, types.GROUP_TYPES_NAMED, follows=True), "POST /v3/groups 3.13-"),
    *rows(
        Place(
            kinds.GROUP,
            refs=(
                Ref("create-from-src.group_snapshot_id", kinds.GROUP_SNAPSHOT),
                Ref("create-from-src.source_group_id", kinds.GROUP),
            ),
        ),
        "POST /v3/groups/action create-from-src 3.14-",
    ),
    *rows(
        Forward(
            kinds.GROUP,
            refs=(Ref("group.add_volumes.,", VOLUME), Ref("group.remove_volumes.,", VOLUME)),
        ),
        "PUT /v3/groups/{id} 3.13-",
    ),
    *rows(
        Forward(kinds.GROUP),
        """
        GET /v3/groups/{id} 3.13-
        POST /v3/groups/{id}/action delete 3.13-
        POST /v3/groups/{id}/action disable_replication enable_replication 3.38-
        POST /v3/groups/{id}/action failover_replication list_replication_targets 3.38-
        POST /v3/groups/{id}/action reset_status 3.20-
        """,
    ),
    *rows(lists.GROUP_SNAPSHOTS, "GET /v3/group_snapshots 3.14-"),
    *rows(lists.GROUP_SNAPSHOTS_DETAIL, "GET /v3/group_snapshots/detail 3.14-"),
    *rows(
        Place(kinds.GROUP_SNAPSHOT, refs=(Ref("group_snapshot.group_id", kinds.GROUP),)),
        "POST /v3/group_snapshots 3.14-",
    ),
    *rows(
        Forward(kinds.GROUP_SNAPSHOT),
        "DELETE,GET /v3/group_snapshots/{id} 3.14-",
        "POST /v3/group_snapshots/{id}/action reset_status 3.19-",
    ),
    *rows(lists.CONSISTENCY_GROUPS, "GET /v3/consistencygroups"),
    *rows(lists.CONSISTENCY_GROUPS_DETAIL, "GET /v3/consistencygroups/detail"),
    *rows(
        _zoned(kinds.CONSISTENCY_GROUP, types.CONSISTENCY_TYPES_NAMED, follows=True),
        "POST /v3/consistencygroups",
    ),
    *rows(
        Place(
            kinds.CONSISTENCY_GROUP,
            refs=(
                Ref("consistencygroup-from-src.cgsnapshot_id", kinds.CGSNAPSHOT),
                Ref("consistencygroup-from-src.source_cgid", kinds.CONSISTENCY_GROUP),
            ),
        ),
        "POST /v3/consistencygroups/create_from_src",
    ),
    *rows(
        Forward(
            kinds.CONSISTENCY_GROUP,
            refs=(
                Ref("consistencygroup.add_volumes.,", VOLUME),
                Ref("consistencygroup.remove_volumes.,", VOLUME),
            ),
        ),
        "PUT /v3/consistencygroups/{id}[/update]",
    ),
    *rows(
        Forward(kinds.CONSISTENCY_GROUP),
        "DELETE,GET /v3/consistencygroups/{id}",
        "POST /v3/consistencygroups/{id}/delete",
    ),
    *rows(lists.CGSNAPSHOTS, "GET /v3/cgsnapshots"),
    *rows(lists.CGSNAPSHOTS_DETAIL, "GET /v3/cgsnapshots/detail"),
    *rows(
        Place(
            kinds.CGSNAPSHOT, refs=(Ref("cgsnapshot.consistencygroup_id", kinds.CONSISTENCY_GROUP),)
        ),
        "POST /v3/cgsnapshots",
    ),
    *rows(Forward(kinds.CGSNAPSHOT), "DELETE,GET /v3/cgsnapshots/{id}"),
    *rows(lists.MESSAGES, "GET /v3/messages 3.3-"),
    *rows(Forward(kinds.MESSAGE), "DELETE,GET /v3/messages/{id} 3.3-"),
    *rows(lists.TRANSFERS, "GET /v3/volume-transfers"),
    *rows(lists.TRANSFERS_DETAIL, "GET /v3/volume-transfers/detail"),
    *rows(lists.OLD_TRANSFERS, "GET /v3/os-volume-transfer"),
    *rows(lists.OLD_TRANSFERS_DETAIL, "GET /v3/os-volume-transfer/detail"),
    *rows(
        Place(kinds.TRANSFER, refs=(Ref("transfer.volume_id", VOLUME),)),
        "POST /v3/[os-volume-transfer|volume-transfers]",
    ),
    *rows(Forward(kinds.TRANSFER), "DELETE,GET /v3/[os-volume-transfer|volume-transfers]/{id}"),
    *rows(Reply(accept), "POST /v3/[os-volume-transfer|volume-transfers]/{id}/accept"),
    *rows(
        MANAGEABLE,
        "GET /v3/[manageable_snapshots|manageable_volumes][/detail] 3.8-",
        "GET /v3/[os-snapshot-manage|os-volume-manage][/detail]",
    ),
    *rows(MANAGE_VOLUME, "POST /v3/manageable_volumes 3.8-", "POST /v3/os-volume-manage"),
    *rows(CREATE_SNAPSHOT, "POST /v3/manageable_snapshots 3.8-", "POST /v3/os-snapshot-manage"),
    *rows(Total(limits), "GET /v3/limits"),
    *rows(Total(quotas), "GET /v3/os-quota-sets/{id}[/defaults]"),
    *rows(Anywhere(kinds.QUOTA_CLASS), "GET /v3/os-quota-class-sets/{id}"),
    *rows(
        Everywhere(),
        "PUT /v3/os-quota-class-sets/{id}",
        "DELETE,PUT /v3/os-quota-sets/{id}",
        "PUT /v3/os-services/set-log 3.32-",
    ),
    *rows(lists.SERVICES, "GET /v3/os-services"),
    *rows(
        BACKEND, "PUT /v3/os-services/[disable|disable-log-reason|enable|failover_host|freeze|thaw]"
    ),
    *rows(Total(totals.log_levels), "PUT /v3/os-services/get-log 3.32-"),
    *rows(lists.HOSTS, "GET /v3/os-hosts"),
    *rows(Anywhere(kinds.HOST), "PUT /v3/os-hosts"),
    *rows(Named(kinds.SERVICE, "host", param="id"), "GET,PUT /v3/os-hosts/{id}"),
    *rows(Named(kinds.SERVICE, "host", param="id", also=("cluster",)), "GET /v3/capabilities/{id}"),
    *rows(lists.CLUSTERS, "GET /v3/clusters[/detail] 3.7-"),
    *rows(Named(kinds.CLUSTER, "name", param="id"), "GET /v3/clusters/{id} 3.7-"),
    *rows(Named(kinds.CLUSTER, "name", key="name"), "PUT /v3/clusters/[disable|enable] 3.7-"),
    *rows(Reply(types.pools), "GET /v3/scheduler-stats/get_pools"),
    *rows(Reply(totals.cleanup), "POST /v3/workers/cleanup 3.24-"),
    *rows(Total(totals.filters), "GET /v3/resource_filters 3.33-"),
    *rows(Forward(VOLUME, prepare=types.RETYPE), "POST /v3/volumes/{id}/action os-retype"),
    *definition_rows(
        types.TYPE,
        VOLUME_TYPE,
        """
        GET,POST /v3/types
        DELETE,GET,PUT /v3/types/{id}
        POST /v3/types/{id}/action addProjectAccess removeProjectAccess
        GET,POST /v3/types/{type_id}/[encryption|extra_specs]
        DELETE,GET,PUT /v3/types/{type_id}/[encryption|extra_specs]/{id}
        GET /v3/types/{type_id}/os-volume-type-access
        """,
        fit=types.specs_in_pod,
        shown=types.specs_shown,
    ),
    *definition_rows(
        GROUP_KIND,
        kinds.GROUP_TYPE,
        """
        GET,POST /v3/group_types 3.11-
        DELETE,GET,PUT /v3/group_types/{id} 3.11-
        GET,POST /v3/group_types/{group_type_id}/group_specs 3.11-
        DELETE,GET,PUT /v3/group_types/{group_type_id}/group_specs/{id} 3.11-
        """,
    ),
    *definition_rows(
        "qos_spec",
        kinds.QOS_SPEC,
        """
        GET,POST /v3/qos-specs
        DELETE,GET,PUT /v3/qos-specs/{id}
        GET /v3/qos-specs/{id}/associations
        PUT /v3/qos-specs/{id}/delete_keys
        """,
    ),
    # a GET that changes
    *rows(Define("qos_spec"), "GET /v3/qos-specs/{id}/disassociate_all"),
    *rows(
        Define("qos_spec", fit=types.type_in_query),
        "GET /v3/qos-specs/{id}/[associate|disassociate]",
    ),
    *definition_rows(
        "default_type",
        kinds.DEFAULT_TYPE,
        "GET /v3/default-types 3.62-",
        "DELETE,GET,PUT /v3/default-types/{id} 3.62-",
        fit=types.type_in_body,
    ),
)
