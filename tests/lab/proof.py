"""One pod through its real APIs, as an operator uses it: does the lab do what it claims?

Every step makes something, checks it, and leaves its removal on a stack.
"""

import contextlib
import random
import time
from typing import Any

import openstack
import requests

from . import settings, topology
from .progress import step


class Proof:
    def __init__(self, region: str) -> None:
        password, project = topology.ACCOUNTS["admin"]
        self.cloud = openstack.connect(
            auth_url=topology.AUTH_URL,
            username="admin",
            password=password,
            project_name=project,
            user_domain_name="Default",
            project_domain_name="Default",
            region_name=region,
        )
        self.name = f"proof-{random.randrange(16**6):06x}"
        self.later = contextlib.ExitStack()

    def run(self) -> None:
        with self.later:
            self._networks()
            step("networks, subnets, router, security group")
            self._compute_objects()
            step("flavor, key pair, aggregate, server group, quota")
            self._server()
            step("server with a fixed and a floating address")
            self._volumes()
            step("volume attached, extended, from snapshot, from image")
            self._backup()
            step("backup made and restored")
            self._images()
            step("image of the server, image of a volume, image sent in chunks")
            self._server_actions()
            step("stopped, started, rebooted, resized")
        step("all deleted")

    def _networks(self) -> None:
        net, keep = self.cloud.network, self.later.callback
        self.network = net.create_network(name=self.name)
        keep(net.delete_network, self.network)
        assert self.network.provider_network_type == "vxlan"
        vlan = net.create_network(
            name=f"{self.name}-vlan",
            provider_network_type="vlan",
            provider_physical_network="bridge",
            provider_segmentation_id=random.randint(101, 1000),
        )
        keep(net.delete_network, vlan)
        self.outside = net.create_network(
            name=f"{self.name}-outside",
            is_router_external=True,
            provider_network_type="flat",
            provider_physical_network=self.name,
        )
        keep(net.delete_network, self.outside)
        subnet = {"ip_version": 4, "name": self.name}
        inside = net.create_subnet(network_id=self.network.id, cidr="10.9.0.0/24", **subnet)
        net.create_subnet(
            network_id=self.outside.id, cidr="203.0.113.0/24", is_dhcp_enabled=False, **subnet
        )
        self._router(inside)
        self.group = net.create_security_group(name=self.name)
        keep(net.delete_security_group, self.group)
        net.create_security_group_rule(
            security_group_id=self.group.id,
            direction="ingress",
            protocol="tcp",
            port_range_min=22,
            port_range_max=22,
        )

    def _router(self, inside: Any) -> None:
        net, keep = self.cloud.network, self.later.callback
        gateway = {"network_id": self.outside.id}
        router = net.create_router(name=self.name, external_gateway_info=gateway)
        keep(net.delete_router, router)
        net.add_interface_to_router(router, subnet_id=inside.id)
        keep(net.remove_interface_from_router, router, subnet_id=inside.id)
        route = {"destination": "192.168.77.0/24", "nexthop": "10.9.0.99"}
        assert net.update_router(router, routes=[route]).routes == [route]
        keep(net.update_router, router, routes=[])

    def _compute_objects(self) -> None:
        nova, keep = self.cloud.compute, self.later.callback
        self.flavor = nova.create_flavor(name=self.name, ram=256, vcpus=1, disk=1)
        keep(nova.delete_flavor, self.flavor)
        keep(nova.delete_keypair, nova.create_keypair(name=self.name))
        zone = nova.create_aggregate(name=self.name, availability_zone=self.name)
        keep(nova.delete_aggregate, zone)
        group = nova.create_server_group(name=self.name, policy="anti-affinity")
        keep(nova.delete_server_group, group)
        assert nova.get_quota_set(self.cloud.current_project_id).cores

    def _server(self) -> None:
        nova, net, keep = self.cloud.compute, self.cloud.network, self.later.callback
        self.image = self.cloud.image.find_image("cirros", ignore_missing=False)
        server = nova.create_server(
            name=self.name,
            image_id=self.image.id,
            flavor_id=self.flavor.id,
            networks=[{"uuid": self.network.id}],
            key_name=self.name,
            security_groups=[{"name": self.name}],
        )
        keep(self._delete_server, server)
        self.server = nova.wait_for_server(server)
        (port,) = net.ports(device_id=server.id)
        assert (port.status, port.binding_vif_type) == ("ACTIVE", "ovs"), port
        address = net.create_ip(floating_network_id=self.outside.id, port_id=port.id)
        keep(net.delete_ip, address)
        addresses = [a["addr"] for a in self.server.addresses[self.name]]
        assert port.fixed_ips[0]["ip_address"] in addresses

    def _delete_server(self, server: Any) -> None:
        self.cloud.compute.delete_server(server)
        self.cloud.compute.wait_for_delete(server)

    def _volume(self, **how: Any) -> Any:
        cinder = self.cloud.block_storage
        volume = cinder.create_volume(name=self.name, size=1, **how)
        self.later.callback(self._delete_volume, volume)
        return self._reaches(cinder.get_volume, volume, "available")

    def _delete_volume(self, volume: Any) -> None:
        self.cloud.block_storage.delete_volume(volume)
        self.cloud.block_storage.wait_for_delete(volume)

    def _volumes(self) -> None:
        nova, cinder = self.cloud.compute, self.cloud.block_storage
        self.volume = self._volume()
        nova.create_volume_attachment(self.server, volume_id=self.volume.id)
        self._reaches(cinder.get_volume, self.volume, "in-use")
        nova.delete_volume_attachment(self.server, self.volume.id)
        self._reaches(cinder.get_volume, self.volume, "available")
        snapshot = cinder.create_snapshot(volume_id=self.volume.id, name=self.name)
        self.later.callback(self._delete_snapshot, snapshot)
        self._reaches(cinder.get_snapshot, snapshot, "available")
        self._volume(snapshot_id=snapshot.id)
        copy = self._volume(image_id=self.image.id)
        cinder.extend_volume(copy, 2)
        assert self._reaches(cinder.get_volume, copy, "available").size == 2

    def _delete_snapshot(self, snapshot: Any) -> None:
        self.cloud.block_storage.delete_snapshot(snapshot)
        self.cloud.block_storage.wait_for_delete(snapshot)

    def _backup(self) -> None:
        cinder = self.cloud.block_storage
        backup = cinder.create_backup(volume_id=self.volume.id, name=self.name)
        self.later.callback(self._delete_backup, backup)
        self._reaches(cinder.get_backup, backup, "available")
        target = self._volume()
        cinder.restore_backup(backup, volume_id=target.id)
        self._reaches(cinder.get_backup, backup, "available")
        self._reaches(cinder.get_volume, target, "available")

    def _delete_backup(self, backup: Any) -> None:
        self.cloud.block_storage.delete_backup(backup)
        self.cloud.block_storage.wait_for_delete(backup)

    def _images(self) -> None:
        images = self.cloud.image
        made = self.cloud.compute.create_server_image(self.server, self.name, wait=True)
        self.later.callback(images.delete_image, made.id)
        self._reaches(images.get_image, made, "active")
        answer = self.cloud.block_storage.upload_volume_to_image(self.volume, f"{self.name}-volume")
        self.later.callback(images.delete_image, answer["image_id"])
        self._reaches(images.get_image, answer["image_id"], "active")
        empty = images.create_image(name=self.name, disk_format="raw", container_format="bare")
        self.later.callback(images.delete_image, empty.id)
        self._send_in_chunks(empty.id)
        assert self._reaches(images.get_image, empty, "active").size == 300_000

    def _send_in_chunks(self, image_id: str) -> None:
        url = f"{topology.GLANCE_URL}/v2/images/{image_id}/file"
        binary = {"Content-Type": "application/octet-stream"}
        headers = binary | {"X-Auth-Token": self.cloud.auth_token}
        pieces = (b"x" * 100_000 for _ in range(3))  # of no known length, so they go in chunks
        requests.put(url, data=pieces, headers=headers, timeout=60).raise_for_status()

    def _server_actions(self) -> None:
        nova = self.cloud.compute
        nova.stop_server(self.server)
        self._reaches(nova.get_server, self.server, "SHUTOFF")
        nova.start_server(self.server)
        self._reaches(nova.get_server, self.server, "ACTIVE")
        nova.reboot_server(self.server, "HARD")
        self._reaches(nova.get_server, self.server, "ACTIVE")
        nova.resize_server(self.server, "1")
        self._reaches(nova.get_server, self.server, "VERIFY_RESIZE")
        nova.confirm_server_resize(self.server)
        self._reaches(nova.get_server, self.server, "ACTIVE")

    def _reaches(self, get: Any, resource: Any, status: str) -> Any:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            now = get(resource)
            if now.status == status and not getattr(now, "task_state", None):
                return now
            assert "error" not in now.status.lower(), now
            time.sleep(0.5)
        raise AssertionError(f"{now.status} is not {status}: {now}")


def run(region: str) -> None:
    assert settings.in_venv()
    Proof(region).run()
