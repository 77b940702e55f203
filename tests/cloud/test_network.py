"""The network face over two real Neutrons: each network lives in one pod."""

from __future__ import annotations

import pytest
from openstack import exceptions
from tenants import Project, admin_cloud


def test_a_network_lives_where_its_hint_says_and_its_children_follow(project: Project):
    one, two = project.network("az1"), project.network("az2", "10.10.0.0/24")
    network = project.tenant.network
    assert {row.id for row in network.networks(project_id=project.id)} == {one.id, two.id}
    assert [row.id for row in project.at("Pod2").network.networks(project_id=project.id)] == [
        two.id
    ]
    assert network.get_network(two.id).availability_zone_hints == ["az2"]
    port = network.create_port(network_id=two.id, name="p")
    assert project.at("Pod2").network.get_port(port.id).name == "p"
    assert network.update_port(port, name="q").name == "q"
    network.set_tags(port, ["blue"])
    assert network.get_port(port.id).tags == ["blue"]
    ids = [row.id for row in network.subnets(project_id=project.id)]
    assert len(ids) == 2 and ids == sorted(ids)
    assert [row.id for row in network.subnets(project_id=project.id, limit=1)] == ids
    network.delete_port(port)
    with pytest.raises(exceptions.NotFoundException, match=f"Port {port.id} could not be found"):
        network.get_port(port.id)


def test_a_server_goes_to_the_pod_of_its_network(project: Project):
    net = project.network("az2")
    server = project.server("az2", networks=[{"uuid": net.id}])
    assert server.availability_zone == "az2"
    assert list(server.addresses) == ["net-az2"]
    unpinned = project.tenant.compute.create_server(
        name="follows", image_id=project.image, flavor_id="1", networks=[{"uuid": net.id}]
    )
    unpinned = project.tenant.compute.wait_for_server(unpinned, wait=60, interval=0.5)
    assert unpinned.availability_zone == "az2"
    interfaces = list(project.tenant.compute.server_interfaces(server))
    assert [item.net_id for item in interfaces] == [net.id]


def test_a_network_of_another_zone_than_asked_is_refused_naming_both(project: Project):
    one, two = project.network("az1"), project.network("az2", "10.10.0.0/24")
    with pytest.raises(exceptions.BadRequestException, match=f"{two.id}.*az2.*az1"):
        project.server("az1", networks=[{"uuid": two.id}])
    with pytest.raises(exceptions.BadRequestException) as refused:
        project.tenant.compute.create_server(
            name="x",
            image_id=project.image,
            flavor_id="1",
            networks=[{"uuid": one.id}, {"uuid": two.id}],
        )
    for word in (one.id, two.id, "Pod1", "Pod2"):
        assert word in str(refused.value)
    assert not list(project.tenant.compute.servers())


def test_a_router_and_a_floating_address_work_within_a_pod(project: Project):
    admin, network = admin_cloud("Pod1").network, project.tenant.network
    outside = admin.create_network(
        name=f"ext-{project.name}",
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network=f"x{project.name}",
    )
    admin.create_subnet(
        network_id=outside.id, cidr="203.0.113.0/24", ip_version=4, is_dhcp_enabled=False
    )
    try:
        net = project.network("az1")
        subnet = next(iter(network.subnets(network_id=net.id)))
        router = network.create_router(name="r", external_gateway_info={"network_id": outside.id})
        network.add_interface_to_router(router, subnet.id)
        server = project.server("az1", networks=[{"uuid": net.id}])
        port = next(iter(network.ports(device_id=server.id)))
        address = network.create_ip(floating_network_id=outside.id, port_id=port.id)
        assert network.get_ip(address.id).port_id == port.id
        network.delete_ip(address)
        network.remove_interface_from_router(router, subnet.id)
        network.delete_router(router)
    finally:
        for port in admin.ports(network_id=outside.id):
            admin.delete_port(port)
        admin.delete_network(outside)


def test_the_default_group_is_shown_once_and_works_in_both_zones(project: Project):
    network = project.tenant.network
    groups = list(network.security_groups(project_id=project.id))
    assert [group.name for group in groups] == ["default"]
    # the command line sends a group's id, which is that of one pod
    for zone in ("az1", "az2"):
        net = project.network(zone)
        server = project.server(
            zone, networks=[{"uuid": net.id}], security_groups=[{"name": groups[0].id}]
        )
        assert server.security_groups == [{"name": "default"}]
    rule = network.create_security_group_rule(
        security_group_id=groups[0].id, direction="ingress", protocol="tcp", port_range_min=22,
        port_range_max=22,
    )  # fmt: skip
    assert network.get_security_group_rule(rule.id).port_range_min == 22


def test_extensions_are_those_that_all_pods_have(project: Project):
    aliases = {item.alias for item in project.tenant.network.extensions()}
    assert {"router", "security-group", "port-security"} <= aliases
    zones = {(z.name, z.resource) for z in project.tenant.network.availability_zones()}
    assert zones == {(az, kind) for az in ("az1", "az2") for kind in ("network", "router")}
