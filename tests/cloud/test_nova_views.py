"""Nova's old views of networks, where these span pods: what a pod's own Nova says of its Neutron,
said of the top's. The same calls go to both, by one project, and the answers are compared."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from attrs import Factory, define
from tenants import STRETCHED, Project, admin_cloud

pytestmark = pytest.mark.release

UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
ADDRESS = re.compile(r"203\.0\.113\.\d+")
REQUEST = re.compile(r"\\nNeutron server returns request_ids: \['req-[^']*'\]")


@define
class Nova:
    """A Nova, as a tenant; `told` is all that it said, with ids by the order they came in."""

    url: str
    token: str
    told: list[tuple[str, int, Any]] = Factory(list)
    ids: dict[str, str] = Factory(dict)

    def ask(self, method: str, path: str, body: Any = None, *, tell: bool = True) -> Any:
        headers = {"X-Auth-Token": self.token, "X-OpenStack-Nova-API-Version": "2.35"}
        answer = requests.request(method, self.url + path, json=body, headers=headers, timeout=60)
        said = answer.json() if answer.content else None
        if not tell:  # what is in no order, or not of this test alone
            return said
        text = REQUEST.sub("", json.dumps(said, sort_keys=True))
        call = f"{method} {path} {json.dumps(body)}"
        kind = answer.headers.get("Content-Type")
        self.told.append((self.plain(call), answer.status_code, self.plain(f"{kind} {text}")))
        return said

    def plain(self, text: str) -> str:
        """A text without what differs between two clouds: ids, and which address was free."""
        text = UUID.sub(lambda id: self.ids.setdefault(id[0], f"<{len(self.ids)}>"), text)
        return ADDRESS.sub("<address>", text)


def novas(project: Project) -> dict[str, Nova]:
    found = {}
    for region, cloud in (("Pod1", project.at("Pod1")), (STRETCHED, project.tenant)):
        found[region] = Nova(cloud.compute.get_endpoint().rstrip("/"), cloud.auth_token)
    return found


def compare(project: Project, calls: Callable[[Nova, str], None]) -> None:
    """The pod is asked first: what it has of its own is shown beside the top's."""
    both = novas(project)
    for region, nova in both.items():
        calls(nova, region)
    ours, theirs = both[STRETCHED].told, both["Pod1"].told
    assert len(ours) == len(theirs) > 5
    pairs = zip(ours, theirs, strict=True)
    found = [f"{one}\n{other}" for one, other in pairs if one != other]
    assert not found, "\n".join(found)


@contextmanager
def outside(region: str, name: str) -> Iterator[Any]:
    network = admin_cloud(region).network
    wire = {"provider_network_type": "flat", "provider_physical_network": name}
    wire |= {"availability_zone_hints": ["Pod1"]} if region == STRETCHED else {}
    made = network.create_network(name=name, is_router_external=True, **wire)
    try:
        network.create_subnet(
            network_id=made.id, cidr="203.0.113.0/29", ip_version=4, is_dhcp_enabled=False
        )
        yield made
    finally:
        for ip in network.ips(floating_network_id=made.id):
            network.delete_ip(ip)
        network.delete_network(made)


def test_networks_and_floating_ips_are_the_tops(spanning: Project):
    def calls(nova: Nova, region: str) -> None:
        ask, name = nova.ask, f"ext-{spanning.name}"
        tenant = spanning.at(region).network if region == "Pod1" else spanning.tenant.network
        with outside(region, name) as external:
            net = tenant.create_network(name="net1")
            known = {external.id, net.id}
            for kind in ("os-networks", "os-tenant-networks"):
                ask("GET", f"/{kind}/{net.id}")
                ask("GET", f"/{kind}/{uuid.uuid4()}")
                listed = ask("GET", f"/{kind}", tell=False)["networks"]
                shown = sorted(n["label"] for n in listed if n["id"] in known)
                assert shown == sorted([name, "net1"])
            pools = ask("GET", "/os-floating-ip-pools", tell=False)["floating_ip_pools"]
            assert {"name": name} in pools
            ask("GET", "/os-floating-ips")
            for pool in (name, external.id):
                made = ask("POST", "/os-floating-ips", {"pool": pool})["floating_ip"]
            bodies = ({"pool": "none of this name"}, {"pool": 5}, {}, {"pool": None}, [])
            for body in bodies:
                ask("POST", "/os-floating-ips", body)
            nova.told[-5:] = [(text, status, "") for text, status, _ in nova.told[-5:]]
            ask("GET", f"/os-floating-ips/{made['id']}")
            assert len(ask("GET", "/os-floating-ips", tell=False)["floating_ips"]) == 2
            for _ in range(4):  # of six addresses one is the gateway's
                ask("POST", "/os-floating-ips", {"pool": name})
            for id in (made["id"], made["id"], str(uuid.uuid4()), "x"):
                ask("DELETE", f"/os-floating-ips/{id}")
                ask("GET", f"/os-floating-ips/{id}")
            shown = ask("GET", "/os-floating-ips", tell=False)["floating_ips"]
            assert {(ip["id"], ip["ip"]) for ip in shown} == {
                (ip.id, ip.floating_ip_address) for ip in tenant.ips()
            }
            tenant.delete_network(net)

    compare(spanning, calls)


def test_security_groups_are_the_tops(spanning: Project):
    def calls(nova: Nova, region: str) -> None:
        ask, groups = nova.ask, "/os-security-groups"
        (default,) = ask("GET", groups)["security_groups"]
        for body in (
            {},
            {"security_group": {"name": "a"}},
            {"security_group": {"name": 5, "description": ""}},
            {"security_group": {"name": "a" * 256, "description": ""}},
        ):
            ask("POST", groups, body)
            nova.told[-1] = (*nova.told[-1][:2], "")  # a schema's own words
        for name in ("default", "", "web"):
            made = ask("POST", groups, {"security_group": {"name": name, "description": "d"}})
        web = made["security_group"]["id"]
        other = {"security_group": {"name": "web2", "description": "d2"}}
        ask("PUT", f"{groups}/{web}", other)
        for id in ("x", str(uuid.uuid4())):
            ask("GET", f"{groups}/{id}")
            ask("PUT", f"{groups}/{id}", other)
            ask("DELETE", f"{groups}/{id}")
            ask("DELETE", f"/os-security-group-rules/{id}")
        ask("DELETE", f"{groups}/{default['id']}")
        rules(nova, web, default["id"])
        shown = ask("GET", f"{groups}/{web}", tell=False)["security_group"]
        told = sorted((str(r["ip_protocol"]), r["from_port"], r["to_port"]) for r in shown["rules"])
        nova.told.append(("rules", 200, told))
        if region == STRETCHED:
            found = spanning.tenant.network.security_group_rules(security_group_id=web)
            assert {r["id"] for r in shown["rules"]} == {
                r.id for r in found if r.direction == "ingress"
            }
        for rule in shown["rules"]:
            ask("DELETE", f"/os-security-group-rules/{rule['id']}")
            nova.told[-1] = ("", *nova.told[-1][1:])
        for query in ("limit=1", "limit=0", "offset=3", "limit=2&offset=1", "all_tenants=1"):
            page = ask("GET", f"{groups}?{query}", tell=False)["security_groups"]
            names = [group["name"] for group in page]
            nova.told.append((query, 200, str(len(names))))
            assert names == sorted(names)
        for query in ("limit=x", "limit=-1", "offset=1.5", "limit="):
            ask("GET", f"{groups}?{query}")
        for group in ask("GET", groups, tell=False)["security_groups"]:
            if group["name"] != "default":
                ask("DELETE", f"{groups}/{group['id']}")
        (left,) = ask("GET", groups, tell=False)["security_groups"]
        assert left["name"] == "default"

    compare(spanning, calls)


def rules(nova: Nova, group: str, default: str) -> None:
    """Rules that are made, and that are refused."""

    def rule(*, exact: bool = True, **asked: Any) -> None:
        nova.ask("POST", "/os-security-group-rules", {"security_group_rule": asked})
        if not exact:  # Neutron's own words, or a schema's
            nova.told[-1] = (*nova.told[-1][:2], "")

    tcp: dict[str, Any] = {"parent_group_id": group, "ip_protocol": "tcp"}
    rule(exact=False)
    rule(exact=False, parent_group_id="x")
    rule(parent_group_id=str(uuid.uuid4()))
    rule(parent_group_id=group)
    rule(**tcp, from_port=80, to_port=90)
    rule(**tcp, from_port=80, to_port=90)
    rule(**tcp, from_port="81", to_port="91", cidr="10.0.0.0/24")
    rule(**tcp, from_port=81, to_port=91, cidr="10.0.0.0%2F24")
    rule(**tcp, from_port=1, to_port=81, cidr="fd00::/8")
    rule(**tcp, from_port=1, to_port=None)
    for low, high in ((90, 80), ("a", 80), (0, 80), (-1, -1), (1, 65536), (80, "")):
        rule(exact=False, **tcp, from_port=low, to_port=high)
    for cidr in ("10.0.0.0", "10.0.0.0/0", "10.0.0.0/33", "nonsense"):
        rule(exact=False, **tcp, from_port=2, to_port=80, cidr=cidr)
    icmp = {"parent_group_id": group, "ip_protocol": "icmp"}
    rule(**icmp, from_port=-1, to_port=-1)
    rule(**icmp, from_port=8, to_port=0, cidr="10.0.0.0/8")
    for low, high in ((8, 300), ("x", 3), (-1, 5)):
        rule(exact=False, **icmp, from_port=low, to_port=high)
    rule(parent_group_id=group, ip_protocol="sctp", from_port=1, to_port=2)
    rule(parent_group_id=group, group_id=group)
    rule(parent_group_id=group, group_id=group)
    rule(parent_group_id=group, group_id=str(uuid.uuid4()))
    rule(exact=False, parent_group_id=group, group_id="x")
    for protocol in ("tcp", "icmp", "sctp"):
        rule(parent_group_id=group, group_id=default, ip_protocol=protocol)
    rule(parent_group_id=group, group_id=default, ip_protocol="udp", from_port=5, to_port=6)


def test_a_server_is_given_the_tops_floating_ips_and_groups(spanning: Project):
    def calls(nova: Nova, region: str) -> None:
        tenant = spanning.at(region) if region == "Pod1" else spanning.tenant
        network, compute = tenant.network, tenant.compute
        zone = {} if region == "Pod1" else {"availability_zone": "az1"}
        with outside(region, f"ext-{spanning.name}") as external:
            net = network.create_network(name="net1")
            subnet = network.create_subnet(network_id=net.id, cidr="10.9.0.0/24", ip_version=4)
            gateway = {"network_id": external.id}
            router = network.create_router(name="r", external_gateway_info=gateway)
            network.add_interface_to_router(router, subnet.id)
            server = compute.create_server(
                name="vm",
                image_id=spanning.image,
                flavor_id="1",
                networks=[{"uuid": net.id}],
                **zone,
            )
            address = nova.ask("POST", "/os-floating-ips", {"pool": external.name})["floating_ip"]
            compute.wait_for_server(server, wait=60, interval=0.3)
            fixed = compute.get_server(server.id).addresses["net1"][0]["addr"]
            associated(nova, server.id, address, fixed)
            if region == STRETCHED:
                (own,) = admin_cloud("Pod1").network.ips(project_id=spanning.id)
                assert (own.floating_ip_address, own.fixed_ip_address) == (address["ip"], fixed)
            removed(nova, server.id, address["ip"])
            nova.ask("DELETE", f"/os-floating-ips/{address['id']}")
            regrouped(nova, server.id)
            compute.delete_server(server)
            compute.wait_for_delete(server, wait=60, interval=0.3)
            network.remove_interface_from_router(router, subnet.id)
            network.delete_router(router)
            network.delete_network(net)

    compare(spanning, calls)


def associated(nova: Nova, server: str, address: dict[str, Any], fixed: str) -> None:
    for more in (
        {"address": "198.51.100.9"},
        {"fixed_address": "10.8.0.1"},
        {"address": "x"},
        {},
        {"fixed_address": fixed},
    ):
        body = {"addFloatingIp": {"address": address["ip"]} | more}
        nova.ask("POST", f"/servers/{server}/action", body)
        nova.told[-1] = (nova.told[-1][0].replace(fixed, ""), *nova.told[-1][1:])
        if more.get("address") == "x":
            nova.told[-1] = (*nova.told[-1][:2], "")
    nova.ask("POST", f"/servers/{uuid.uuid4()}/action", body)
    nova.told[-1] = ("", *nova.told[-1][1:])
    (shown,) = nova.ask("GET", "/os-floating-ips")["floating_ips"]
    assert shown["instance_id"] == server and shown["fixed_ip"] == fixed
    nova.told[-1] = (*nova.told[-1][:2], nova.told[-1][2].replace(fixed, ""))


def removed(nova: Nova, server: str, address: str) -> None:
    for one, body in (
        (str(uuid.uuid4()), {"address": address}),
        (server, {"address": "198.51.100.9"}),
        (server, {"address": address}),
    ):
        nova.ask("POST", f"/servers/{one}/action", {"removeFloatingIp": body})
    # a Nova asks whether a member may do this with no server's, and says 403
    nova.ask("POST", f"/servers/{server}/action", {"removeFloatingIp": body})
    assert nova.told.pop()[1] in (403, 409)


def regrouped(nova: Nova, server: str) -> None:
    """A server in two groups, and in none."""
    group = {"security_group": {"name": "web", "description": ""}}
    id = nova.ask("POST", "/os-security-groups", group)["security_group"]["id"]
    rule = {"parent_group_id": id, "ip_protocol": "tcp", "from_port": 1, "to_port": 2}
    nova.ask("POST", "/os-security-group-rules", {"security_group_rule": rule})
    for action, name in (
        ("addSecurityGroup", "web"),
        ("addSecurityGroup", "none such"),
        ("removeSecurityGroup", "default"),
        ("removeSecurityGroup", "default"),
    ):
        nova.ask("POST", f"/servers/{server}/action", {action: {"name": name}})
    nova.ask("GET", f"/servers/{server}/os-security-groups")
    nova.ask("DELETE", f"/os-security-groups/{id}")  # it is in use
    nova.told[-1] = (*nova.told[-1][:2], "")
    nova.ask("POST", f"/servers/{server}/action", {"removeSecurityGroup": {"name": "web"}})
    nova.ask("GET", f"/servers/{server}/os-security-groups")

    shown = nova.ask("GET", f"/servers/{server}", tell=False)["server"]
    assert "security_groups" not in shown
    nova.ask("DELETE", f"/os-security-groups/{id}")
