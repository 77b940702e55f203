"""Cinder v3: every row of its API and the verb that serves it."""

from __future__ import annotations

from trio2o.faces._health import healthy
from trio2o.faces.needs import volume_needs
from trio2o.faces.resources import EXTENSION, SNAPSHOT, VOLUME, VOLUME_TYPE
from trio2o.faces.volume._lists import (
    SNAPSHOTS,
    SNAPSHOTS_DETAIL,
    TYPES,
    VOLUMES,
    VOLUMES_DETAIL,
)
from trio2o.faces.volume._steps import (
    NOT_YET,
    embedded,
    root,
    version,
    with_type_name,
    zones,
)
from trio2o.verbs import Anywhere, Forward, Operation, Place, Ref, Reply, rows

CREATE_VOLUME = Place(
    VOLUME,
    refs=(
        Ref("volume.snapshot_id", SNAPSHOT),
        Ref("volume.source_volid", VOLUME),
    ),
    zone="availability_zone",
    no_zone="Availability zone '{zone}' is invalid.",
    prepare=with_type_name,
    more=embedded,
    needs=volume_needs,
    follows=True,
)

CREATE_SNAPSHOT = Place(SNAPSHOT, refs=(Ref("snapshot.volume_id", VOLUME),))

OPERATIONS: tuple[Operation, ...] = (
    *rows(
        Reply(root),
        """
        GET    / hot
        """,
        open=True,
    ),
    *rows(
        Reply(version),
        """
        GET    /v3/ hot
        """,
    ),
    *rows(
        Reply(healthy),
        """
        GET    /healthcheck
        """,
        open=True,
    ),
    *rows(
        CREATE_VOLUME,
        """
        POST   /v3/volumes
        """,
    ),
    *rows(
        VOLUMES,
        """
        GET    /v3/volumes hot
        """,
    ),
    *rows(
        VOLUMES_DETAIL,
        """
        GET    /v3/volumes/detail hot
        """,
    ),
    *rows(
        Forward(VOLUME),
        """
        DELETE /v3/volumes/{id}
        GET    /v3/volumes/{id} hot
        PUT    /v3/volumes/{id}
        POST   /v3/volumes/{id}/action os-attach
        POST   /v3/volumes/{id}/action os-begin_detaching
        POST   /v3/volumes/{id}/action os-detach
        POST   /v3/volumes/{id}/action os-extend
        POST   /v3/volumes/{id}/action os-extend_volume_completion
        POST   /v3/volumes/{id}/action os-force_delete
        POST   /v3/volumes/{id}/action os-force_detach
        POST   /v3/volumes/{id}/action os-initialize_connection
        POST   /v3/volumes/{id}/action os-migrate_volume
        POST   /v3/volumes/{id}/action os-migrate_volume_completion
        POST   /v3/volumes/{id}/action os-reimage 3.68-
        POST   /v3/volumes/{id}/action os-reserve
        POST   /v3/volumes/{id}/action os-reset_status
        POST   /v3/volumes/{id}/action os-retype
        POST   /v3/volumes/{id}/action os-roll_detaching
        POST   /v3/volumes/{id}/action os-set_bootable
        POST   /v3/volumes/{id}/action os-set_image_metadata
        POST   /v3/volumes/{id}/action os-show_image_metadata
        POST   /v3/volumes/{id}/action os-terminate_connection
        POST   /v3/volumes/{id}/action os-unmanage
        POST   /v3/volumes/{id}/action os-unreserve
        POST   /v3/volumes/{id}/action os-unset_image_metadata
        POST   /v3/volumes/{id}/action os-update_readonly_flag
        POST   /v3/volumes/{id}/action os-volume_upload_image
        POST   /v3/volumes/{id}/action revert 3.40-
        """,
    ),
    *rows(
        Forward(VOLUME, "volume_id"),
        """
        GET    /v3/volumes/{volume_id}/encryption
        GET    /v3/volumes/{volume_id}/encryption/{id}
        GET    /v3/volumes/{volume_id}/metadata
        POST   /v3/volumes/{volume_id}/metadata
        PUT    /v3/volumes/{volume_id}/metadata
        DELETE /v3/volumes/{volume_id}/metadata/{id}
        GET    /v3/volumes/{volume_id}/metadata/{id}
        PUT    /v3/volumes/{volume_id}/metadata/{id}
        """,
    ),
    *rows(
        CREATE_SNAPSHOT,
        """
        POST   /v3/snapshots
        """,
    ),
    *rows(
        SNAPSHOTS,
        """
        GET    /v3/snapshots
        """,
    ),
    *rows(
        SNAPSHOTS_DETAIL,
        """
        GET    /v3/snapshots/detail
        """,
    ),
    *rows(
        Forward(SNAPSHOT),
        """
        DELETE /v3/snapshots/{id}
        GET    /v3/snapshots/{id}
        PUT    /v3/snapshots/{id}
        POST   /v3/snapshots/{id}/action os-force_delete
        POST   /v3/snapshots/{id}/action os-reset_status
        POST   /v3/snapshots/{id}/action os-unmanage
        POST   /v3/snapshots/{id}/action os-update_snapshot_status
        """,
    ),
    *rows(
        Forward(SNAPSHOT, "snapshot_id"),
        """
        GET    /v3/snapshots/{snapshot_id}/metadata
        POST   /v3/snapshots/{snapshot_id}/metadata
        PUT    /v3/snapshots/{snapshot_id}/metadata
        DELETE /v3/snapshots/{snapshot_id}/metadata/{id}
        GET    /v3/snapshots/{snapshot_id}/metadata/{id}
        PUT    /v3/snapshots/{snapshot_id}/metadata/{id}
        """,
    ),
    *rows(
        TYPES,
        """
        GET    /v3/types
        """,
    ),
    *rows(
        Anywhere(VOLUME_TYPE),
        """
        GET    /v3/types/{id}
        """,
    ),
    *rows(
        Anywhere(VOLUME_TYPE, "type_id"),
        """
        GET    /v3/types/{type_id}/encryption
        GET    /v3/types/{type_id}/encryption/{id}
        GET    /v3/types/{type_id}/extra_specs
        GET    /v3/types/{type_id}/extra_specs/{id}
        GET    /v3/types/{type_id}/os-volume-type-access
        """,
    ),
    *rows(
        Reply(zones),
        """
        GET    /v3/os-availability-zone
        """,
    ),
    *rows(
        Anywhere(EXTENSION),
        """
        GET    /v3/extensions
        GET    /v3/extensions/{id}
        GET    /v3/resource_filters 3.33-
        """,
    ),
    *rows(
        NOT_YET,
        """
        GET    /v3/attachments 3.27-
        POST   /v3/attachments 3.27-
        GET    /v3/attachments/detail 3.27-
        DELETE /v3/attachments/{id} 3.27-
        GET    /v3/attachments/{id} 3.27-
        PUT    /v3/attachments/{id} 3.27-
        POST   /v3/attachments/{id}/action os-complete 3.44-
        GET    /v3/backups
        POST   /v3/backups
        GET    /v3/backups/detail
        POST   /v3/backups/import_record
        DELETE /v3/backups/{id}
        GET    /v3/backups/{id}
        PUT    /v3/backups/{id} 3.9-
        POST   /v3/backups/{id}/action os-force_delete
        POST   /v3/backups/{id}/action os-reset_status
        GET    /v3/backups/{id}/export_record
        POST   /v3/backups/{id}/restore
        GET    /v3/capabilities/{id}
        GET    /v3/cgsnapshots
        POST   /v3/cgsnapshots
        GET    /v3/cgsnapshots/detail
        DELETE /v3/cgsnapshots/{id}
        GET    /v3/cgsnapshots/{id}
        GET    /v3/clusters 3.7-
        GET    /v3/clusters/detail 3.7-
        PUT    /v3/clusters/disable 3.7-
        PUT    /v3/clusters/enable 3.7-
        GET    /v3/clusters/{id} 3.7-
        GET    /v3/consistencygroups
        POST   /v3/consistencygroups
        POST   /v3/consistencygroups/create_from_src
        GET    /v3/consistencygroups/detail
        DELETE /v3/consistencygroups/{id}
        GET    /v3/consistencygroups/{id}
        PUT    /v3/consistencygroups/{id}
        POST   /v3/consistencygroups/{id}/delete
        PUT    /v3/consistencygroups/{id}/update
        GET    /v3/default-types 3.62-
        DELETE /v3/default-types/{id} 3.62-
        GET    /v3/default-types/{id} 3.62-
        PUT    /v3/default-types/{id} 3.62-
        GET    /v3/group_snapshots 3.14-
        POST   /v3/group_snapshots 3.14-
        GET    /v3/group_snapshots/detail 3.14-
        DELETE /v3/group_snapshots/{id} 3.14-
        GET    /v3/group_snapshots/{id} 3.14-
        POST   /v3/group_snapshots/{id}/action reset_status 3.19-
        GET    /v3/group_types 3.11-
        POST   /v3/group_types 3.11-
        GET    /v3/group_types/{group_type_id}/group_specs 3.11-
        POST   /v3/group_types/{group_type_id}/group_specs 3.11-
        DELETE /v3/group_types/{group_type_id}/group_specs/{id} 3.11-
        GET    /v3/group_types/{group_type_id}/group_specs/{id} 3.11-
        PUT    /v3/group_types/{group_type_id}/group_specs/{id} 3.11-
        DELETE /v3/group_types/{id} 3.11-
        GET    /v3/group_types/{id} 3.11-
        PUT    /v3/group_types/{id} 3.11-
        GET    /v3/groups 3.13-
        POST   /v3/groups 3.13-
        POST   /v3/groups/action create-from-src 3.14-
        GET    /v3/groups/detail 3.13-
        GET    /v3/groups/{id} 3.13-
        PUT    /v3/groups/{id} 3.13-
        POST   /v3/groups/{id}/action delete 3.13-
        POST   /v3/groups/{id}/action disable_replication 3.38-
        POST   /v3/groups/{id}/action enable_replication 3.38-
        POST   /v3/groups/{id}/action failover_replication 3.38-
        POST   /v3/groups/{id}/action list_replication_targets 3.38-
        POST   /v3/groups/{id}/action reset_status 3.20-
        GET    /v3/limits
        GET    /v3/manageable_snapshots 3.8-
        POST   /v3/manageable_snapshots 3.8-
        GET    /v3/manageable_snapshots/detail 3.8-
        GET    /v3/manageable_volumes 3.8-
        POST   /v3/manageable_volumes 3.8-
        GET    /v3/manageable_volumes/detail 3.8-
        GET    /v3/messages 3.3-
        DELETE /v3/messages/{id} 3.3-
        GET    /v3/messages/{id} 3.3-
        GET    /v3/os-hosts
        PUT    /v3/os-hosts
        GET    /v3/os-hosts/{id}
        PUT    /v3/os-hosts/{id}
        GET    /v3/os-quota-class-sets/{id}
        PUT    /v3/os-quota-class-sets/{id}
        DELETE /v3/os-quota-sets/{id}
        GET    /v3/os-quota-sets/{id}
        PUT    /v3/os-quota-sets/{id}
        GET    /v3/os-quota-sets/{id}/defaults
        GET    /v3/os-services
        PUT    /v3/os-services/disable
        PUT    /v3/os-services/disable-log-reason
        PUT    /v3/os-services/enable
        PUT    /v3/os-services/failover_host
        PUT    /v3/os-services/freeze
        PUT    /v3/os-services/get-log 3.32-
        PUT    /v3/os-services/set-log 3.32-
        PUT    /v3/os-services/thaw
        GET    /v3/os-snapshot-manage
        POST   /v3/os-snapshot-manage
        GET    /v3/os-snapshot-manage/detail
        GET    /v3/os-volume-manage
        POST   /v3/os-volume-manage
        GET    /v3/os-volume-manage/detail
        GET    /v3/os-volume-transfer
        POST   /v3/os-volume-transfer
        GET    /v3/os-volume-transfer/detail
        DELETE /v3/os-volume-transfer/{id}
        GET    /v3/os-volume-transfer/{id}
        POST   /v3/os-volume-transfer/{id}/accept
        GET    /v3/qos-specs
        POST   /v3/qos-specs
        DELETE /v3/qos-specs/{id}
        GET    /v3/qos-specs/{id}
        PUT    /v3/qos-specs/{id}
        GET    /v3/qos-specs/{id}/associate
        GET    /v3/qos-specs/{id}/associations
        PUT    /v3/qos-specs/{id}/delete_keys
        GET    /v3/qos-specs/{id}/disassociate
        GET    /v3/qos-specs/{id}/disassociate_all
        GET    /v3/scheduler-stats/get_pools
        POST   /v3/types
        DELETE /v3/types/{id}
        PUT    /v3/types/{id}
        POST   /v3/types/{id}/action addProjectAccess
        POST   /v3/types/{id}/action removeProjectAccess
        POST   /v3/types/{type_id}/encryption
        DELETE /v3/types/{type_id}/encryption/{id}
        PUT    /v3/types/{type_id}/encryption/{id}
        POST   /v3/types/{type_id}/extra_specs
        DELETE /v3/types/{type_id}/extra_specs/{id}
        PUT    /v3/types/{type_id}/extra_specs/{id}
        GET    /v3/volume-transfers
        POST   /v3/volume-transfers
        GET    /v3/volume-transfers/detail
        DELETE /v3/volume-transfers/{id}
        GET    /v3/volume-transfers/{id}
        POST   /v3/volume-transfers/{id}/accept
        GET    /v3/volumes/summary 3.12-
        POST   /v3/workers/cleanup 3.24-
        """,
    ),
)
