"""cinder-backup without a store: a backup is a row in the database."""

import io

from cinder.backup import driver, manager
from cinder.volume import volume_utils

# The stock function asks this machine's devices, as root, how it would attach a volume.
volume_utils.brick_get_connector_properties = lambda *args, **kwargs: {}


class LabBackupDriver(driver.BackupDriver):
    def backup(self, backup, volume_file, backup_metadata=False):
        return {"object_count": 0}

    def restore(self, backup, volume_id, volume_file, volume_is_new):
        pass

    def delete_backup(self, backup):
        pass

    def check_for_setup_error(self):
        pass


class LabBackupManager(manager.BackupManager):
    """The stock manager would attach the volume to this machine; there is nothing to attach."""

    def _attach_device(self, ctxt, backup_device, properties, is_snapshot=False):
        return {"device": {"path": io.BytesIO()}}

    def _detach_device(self, *args, **kwargs):
        pass
