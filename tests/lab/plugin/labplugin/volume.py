"""Cinder driver that keeps no data: every volume is a row in the database."""

import io

from cinder.tests import fake_driver


class LabVolumeDriver(fake_driver.FakeLoggingVolumeDriver):
    """The stock fake driver, plus the image and migration calls that it lacks."""

    def clone_image(self, context, volume, image_location, image_meta, image_service):
        return {}, True  # as a backend says that cloned it: no download follows

    def copy_image_to_volume(self, context, volume, image_service, image_id, disable_sparse=False):
        pass

    def copy_volume_to_image(self, context, volume, image_service, image_meta):
        image_service.update(context, image_meta["id"], {}, io.BytesIO(b"\0" * 512))

    def manage_existing_get_size(self, volume, existing_ref):
        return 1

    def manage_existing(self, volume, existing_ref):
        return {}

    def revert_to_snapshot(self, context, volume, snapshot):
        pass

    def retype(self, context, volume, new_type, diff, host):
        return True, {}
