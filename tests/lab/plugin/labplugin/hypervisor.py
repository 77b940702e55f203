"""Nova's fake hypervisor, with images of servers and with a memory of its servers."""

import io

from nova import context as nova_context
from nova import objects
from nova.compute import power_state
from nova.image import glance
from nova.virt import fake


class LabDriver(fake.FakeDriverWithoutFakeNodes):
    def init_host(self, host):
        """Know again the servers of the time before a restart, which the stock driver forgets."""
        super().init_host(host)
        context = nova_context.get_admin_context()
        for server in objects.InstanceList.get_by_host(context, host, ["flavor"]):
            running = server.power_state == power_state.RUNNING
            self.spawn(context, server, None, [], None, None, power_on=running)

    def detach_interface(self, context, instance, vif):
        self._interfaces.pop(vif["id"], None)

    def snapshot(self, context, instance, image_id, update_task_state):
        super().snapshot(context, instance, image_id, update_task_state)
        formats = {"disk_format": "raw", "container_format": "bare"}
        glance.API().update(context, image_id, formats, io.BytesIO(b"\0" * 512))
