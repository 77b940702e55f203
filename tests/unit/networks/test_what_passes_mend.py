"""What passes mend, and what they leave alone."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from helpers import result_of
from neutrons import DEFAULTS, Refusal, Region, Store
from twisted.internet.task import Clock
from world import Pods, context

from trio2o.domain.errors import BadRequest, Fault, NotFound
from trio2o.faces.admin.operations import OPERATIONS
from trio2o.message import Call
from trio2o.networks import MADE, NetworkPass, Networks, NotMade, Refused, settle_router, things
from trio2o.networks._things import bridge_mark
from trio2o.reconcile import Lease, Passes, Reconcilers
from trio2o.settings import NetworkSettings
from trio2o.store._schema import attachments, counterparts, homes


class Cloud:
    """Two pods, and as many networks as asked for with a server each, half in either pod."""

    def __init__(self, count: int) -> None:
        self.region, self.clock = Region(2), Clock()
        self.clock.advance(1_800_000_000)
        self.store = Store()
        self.restart(self.store)
        for number in range(count):
            self.boot(number)
        self.converge()

    def restart(self, store: Store) -> None:
        async def token(project_id: str = "") -> str:
            return "token"

        given: Any = (self.clock, self.clock.seconds, store, self.region, token)
        settings = NetworkSettings(mode="stretched", bridge_cidr_v6="fd00::/123")
        self.ours = Networks(*given, settings, settle_router)

    def boot(self, number: int, **more: Any) -> None:
        top = self.region.top
        body = {"project_id": "p", "name": "n", "provider:segmentation_id": 100 + number}
        network = top.create("networks", body)["id"]
        cidr = f"10.{number}.0.0/27"
        top.create("subnets", {"network_id": network, "project_id": "p", "cidr": cidr})
        body = {"network_id": network, "project_id": "p", "device_id": f"{MADE}c{number}"}
        self.bind(top.create("ports", body | more), number % 2, number)

    def bind(self, port: Any, which: int, number: int, *, ours: bool = True) -> None:
        """A server comes up on a port of the top's."""
        pod, server = self.region.all[which], f"server-{number}"

        async def call() -> None:
            own = [port["id"]] if ours else []
            await self.ours.claim(f"c{number}", pod, [port], own, lease=False)
            bottom = (await self.ours.carry(pod, [port], fresh=True))[port["id"]]
            self.region.servers.add(server)
            row = self.region.neutrons[pod.pod_id].rows["ports"][bottom]
            row |= {"device_id": server, "device_owner": "compute:nova"}
            await self.ours.booted(f"c{number}", server, pod)

        result_of(call())

    def route(self) -> str:
        """The id of a router that has all networks."""
        top = self.region.top
        router = str(top.create("routers", {"project_id": "p", "name": "r"})["id"])
        self.join(router, list(top.rows["subnets"].values()))
        return router

    def join(self, router: str, subnets: list[Any]) -> None:
        top = self.region.top
        for subnet in subnets:
            fixed = [{"subnet_id": subnet["id"]}]
            body = {"network_id": subnet["network_id"], "fixed_ips": fixed, "project_id": "p"}
            owner = {"device_id": router, "device_owner": "network:router_interface"}
            top.create("ports", body | owner)

    def end(self, server: str) -> None:
        """Nova lets a server's port go, and says that there is no such server."""
        self.region.servers.discard(server)
        for pod in self.region.all:
            for port in self.region.neutrons[pod.pod_id].rows["ports"].values():
                if port["device_id"] == server:
                    port |= {"device_id": "", "device_owner": ""}
        result_of(self.ours.ended(server))

    def run(self, **more: Any) -> Any:
        """What a pass counted."""
        return result_of(NetworkPass(self.ours, **more).run())

    def converge(self) -> None:
        assert any(self.run().drift == 0 for _ in range(9))

    @property
    def below(self) -> Any:
        """A copy of all that the pods have."""
        return copy.deepcopy([self.region.neutrons[pod.pod_id].rows for pod in self.region.all])

    def lose(self) -> dict[str, Any]:
        """Empty the top, but for a group that Neutron makes for whoever asks; what it had."""
        had, self.region.top.rows = self.region.top.rows, copy.deepcopy(self.region.top.rows)
        for kind, rows in self.region.top.rows.items():
            if "security" not in kind:
                rows.clear()
        return had


def test_a_top_that_shows_nothing_tears_nothing_down_and_goes_on_when_it_is_back() -> None:
    cloud = Cloud(6)
    before, had = cloud.below, cloud.lose()
    for _ in range(2):
        with pytest.raises(Fault, match="shows 0 of 12 networks"):
            cloud.run()
    assert cloud.below == before
    cloud.region.top.rows = had
    counted = cloud.run()
    assert (counted.drift, counted.failed) == (0, 0)
    assert cloud.below == before


def test_a_top_that_shows_nothing_while_the_store_is_lost_tears_nothing_down() -> None:
    cloud = Cloud(12)
    before = cloud.below
    cloud.lose()
    cloud.restart(Store())
    counted = cloud.run()
    assert counted.failed == 2
    assert [note.partition(": ")[0] for note in counted.notes] == ["Pod1", "Pod2"]
    assert cloud.below == before


def test_what_is_gone_at_the_top_goes_when_an_operator_says_so_once() -> None:
    cloud = Cloud(6)
    cloud.lose()
    result_of(cloud.ours.consent())
    assert cloud.run().failed == 0
    assert not any(rows["networks"] or rows["ports"] for rows in cloud.below)
    cloud = Cloud(6)
    result_of(cloud.ours.consent())
    cloud.run()
    cloud.lose()
    with pytest.raises(Fault):
        cloud.run()


def test_a_part_that_is_gone_at_the_top_goes_without_asking() -> None:
    cloud = Cloud(6)
    top = cloud.region.top
    lost = sorted(top.rows["networks"])[:2]
    for id in lost:
        for port in [p["id"] for p in top.rows["ports"].values() if p["network_id"] == id]:
            del top.rows["ports"][port]
        top.delete("networks", id)
    cloud.converge()
    names = {n["description"] for rows in cloud.below for n in rows["networks"].values()}
    assert len(names) == 4 and not names & {f"trio2o:{id}" for id in lost}


def test_what_drifted_is_only_told_where_passes_may_not_mend() -> None:
    cloud = Cloud(2)
    pod = cloud.region.neutrons[cloud.region.all[0].pod_id].rows
    (network,) = pod["networks"].values()
    network["name"] = "changed"
    before = cloud.below
    counted = cloud.run(mend=False)
    assert (counted.drift, counted.mended, counted.failed) == (1, 0, 1)
    top = network["description"].partition(":")[2]
    assert counted.notes == [f"Pod1: update of networks {top}: name"]
    assert cloud.below == before
    result_of(cloud.ours.consent())
    assert cloud.run(mend=False).mended == 1
    assert network["name"] == "n"


def test_an_operator_forces_a_pass_that_would_only_tell() -> None:
    """`POST /v1.0/reconcilers/networks/run`, with `force=true` and without, by its table's row."""
    cloud = Cloud(2)
    (network,) = cloud.region.neutrons[cloud.region.all[0].pod_id].rows["networks"].values()
    network["name"] = "changed"
    passes = Passes(cloud.clock, cloud.clock.seconds, 300.0)
    passes.add(NetworkPass(cloud.ours, mend=False))
    store: Any = cloud.store
    reconcilers = Reconcilers(
        cloud.clock, store, passes, Lease(cloud.clock.seconds, store, "a", 9.0)
    )
    result_of(reconcilers.look())
    path = "/v1.0/reconcilers/{id}/run"
    (row,) = [row for row in OPERATIONS if (row.method, row.path) == ("POST", path)]
    parts = SimpleNamespace(networks=cloud.ours, reconcilers=reconcilers)

    def post(query: bytes, name: str = "networks") -> Any:
        here = context(Pods({}), operation=row, params={"id": name}, parts=parts)
        said = result_of(row.verb(Call("POST", b"", query), here))
        return said.status, json.loads(said.body)["reconciler"]

    for query in (b"", b"force=false"):
        status, told = post(query)
        assert (status, told["drift"], told["mended"], told["failed"]) == (200, 1, 0, 1)
        assert [note[:25] for note in told["notes"]] == ["Pod1: update of networks "]
    assert network["name"] == "changed"
    status, told = post(b"force=true")
    assert (status, told["drift"], told["mended"], told["failed"]) == (200, 1, 1, 0)
    assert network["name"] == "n"
    network["name"] = "again"
    assert post(b"")[1]["mended"] == 0  # one that is forced is one
    with pytest.raises(NotFound):
        post(b"force=true", "flavors")


def test_what_is_recorded_of_things_that_are_gone_everywhere_goes_too() -> None:
    cloud = Cloud(2)
    top, connection = cloud.region.top, cloud.store.connection
    for number in range(2):
        cloud.end(f"server-{number}")
    for id in list(top.rows["networks"]):
        top.delete("networks", id)
    cloud.converge()
    for table in (homes, attachments, counterparts):
        left = connection.execute(sa.select(table).where(*_ours(table))).mappings().all()
        assert left == [], table.name
    quotas = [told for told in cloud.region.writes if "DELETE /quotas" in told]
    assert sorted(quotas) == ["Pod1 DELETE /quotas/p", "Pod2 DELETE /quotas/p"]


def _ours(table: Any) -> list[Any]:
    """Not what the pods have by themselves: their `default` groups."""
    return [table.c.kind != "security-groups"] if "kind" in table.c else []


def test_a_server_that_was_recorded_but_never_told_at_the_top_is_told() -> None:
    cloud = Cloud(1)
    (port,) = [p for p in cloud.region.top.rows["ports"].values() if "compute" in p["device_owner"]]
    port |= {"device_id": f"{MADE}c0", "device_owner": ""}  # we died between the two
    cloud.run()
    assert (port["device_id"], port["device_owner"]) == ("server-0", "compute:az1")


def test_a_bridge_that_was_made_without_its_subnet_gets_one() -> None:
    cloud = Cloud(2)
    top = cloud.region.top
    router = cloud.route()
    body = {"name": "router bridge", "description": bridge_mark(router)}
    bridge = top.create("networks", body)["id"]  # we died here
    cloud.converge()
    assert len(top.subnets(bridge)) == 1
    told = [row["routes"] for rows in cloud.below for row in rows["routers"].values()]
    assert [len(routes) for routes in told] == [1, 1]


def test_a_router_that_gets_ipv6_leads_it_over_its_bridge_at_once() -> None:
    cloud = Cloud(2)
    top, router = cloud.region.top, cloud.route()
    result_of(settle_router(cloud.ours, router))
    for number, network in enumerate(list(top.rows["networks"])[:2]):
        body = {"network_id": network, "project_id": "p", "ip_version": 6}
        made = top.create("subnets", body | {"cidr": f"2001:db8:{number}::/123"})
        cloud.join(router, [made])
    result_of(settle_router(cloud.ours, router))
    told = [row["routes"] for rows in cloud.below for row in rows["routers"].values()]
    assert sorted(len(routes) for routes in told) == [2, 2]
    cloud.converge()


def test_a_default_group_that_a_pods_own_port_uses_stays_as_the_tops() -> None:
    cloud = Cloud(1)
    pod = cloud.region.neutrons[cloud.region.all[0].pod_id]
    (group,) = pod.rows["security-groups"].values()
    own = pod.create("networks", {"project_id": "p", "name": "own"})["id"]
    pod.create("ports", {"network_id": own, "project_id": "p", "security_groups": [group["id"]]})
    cloud.end("server-0")
    cloud.converge()
    assert cloud.run().failed == 0
    assert [n["name"] for n in pod.rows["networks"].values()] == ["own"]
    (top,) = cloud.region.top.rows["security-groups"].values()
    cloud.region.top.rule(top, direction="ingress", port_range_min=22)
    cloud.converge()
    rules = pod.shown("security-groups", group)["security_group_rules"]
    assert len(rules) == 5 and 22 in {rule["port_range_min"] for rule in rules}


def test_qos_policies_are_in_the_pods_whose_networks_and_ports_have_them() -> None:
    cloud = Cloud(2)
    top = cloud.region.top
    policy = top.create("qos/policies", {"name": "slow", "project_id": "p", "rules": []})
    rule = {"id": "r1", "type": "bandwidth_limit", "direction": "egress", "max_kbps": 100}
    policy["rules"] = [rule]
    port = next(p for p in top.rows["ports"].values() if p["device_id"] == "server-1")
    port["qos_policy_id"] = policy["id"]

    def policies() -> list[list[tuple[str, list[Any]]]]:
        """Of each pod: names, and what the rules limit to."""
        return [
            [
                (p["name"], [r["max_kbps"] for r in p["rules"]])
                for p in some["qos/policies"].values()
            ]
            for some in cloud.below
        ]

    cloud.converge()
    assert policies() == [[], [("slow", [100])]]
    (bottom,) = [p for p in cloud.below[1]["ports"].values() if p["device_id"] == "server-1"]
    assert bottom["qos_policy_id"] in cloud.below[1]["qos/policies"]
    policy["rules"] = [rule | {"max_kbps": 200}]
    result_of(cloud.ours.settle_alone(things.QOS, policy["id"]))
    assert policies()[1] == [("slow", [200])]
    assert cloud.run().drift == 0
    (network,) = [n for n in top.rows["networks"].values() if n["id"] != port["network_id"]]
    network["qos_policy_id"], port["qos_policy_id"] = policy["id"], None
    result_of(cloud.ours.settle_network(network["id"]))
    assert policies() == [[("slow", [200])]] * 2
    result_of(cloud.ours.settle_ports([port["id"]]))
    cloud.converge()
    assert policies() == [[("slow", [200])], []]
    network["qos_policy_id"] = None
    cloud.converge()
    assert policies() == [[], []]


def test_a_dhcp_option_that_is_taken_away_is_taken_from_the_pod() -> None:
    cloud = Cloud(1)
    (port,) = [p for p in cloud.region.top.rows["ports"].values() if p["device_id"] == "server-0"]
    for names in (["a", "b"], ["b"], []):
        port["extra_dhcp_opts"] = [{"opt_name": n, "opt_value": n, "ip_version": 4} for n in names]
        cloud.converge()
        (own,) = [p for p in cloud.below[0]["ports"].values() if p["device_id"] == "server-0"]
        assert [one["opt_name"] for one in own["extra_dhcp_opts"]] == names


def test_an_interface_that_is_half_made_when_the_store_is_lost_stays_the_routers() -> None:
    cloud = Cloud(1)
    router = cloud.route()
    cloud.converge()
    pod = cloud.region.neutrons[cloud.region.all[0].pod_id]
    (own,) = [p for p in pod.rows["ports"].values() if "interface" in p["device_owner"]]
    own |= {"device_id": "", "device_owner": ""}  # we died between the port and its joining
    cloud.restart(Store())
    cloud.converge()
    (port,) = [p for p in cloud.region.top.rows["ports"].values() if p["device_id"] == router]
    assert port["device_owner"] == "network:router_interface"
    assert own["device_id"] in pod.rows["routers"]


def test_a_port_that_its_pod_let_go_of_is_free_though_the_pod_still_shows_the_server() -> None:
    """Nova shows a server as DELETED for a moment when all that it had is free."""
    cloud = Cloud(1)
    (id,) = (p["id"] for p in cloud.region.top.rows["ports"].values() if p["device_id"][:1] == "s")
    assert not result_of(cloud.ours.let_go([id]))
    result_of(cloud.ours.leaving("server-0"))
    assert not result_of(cloud.ours.let_go([id]))
    for port in cloud.region.neutrons[cloud.region.all[0].pod_id].rows["ports"].values():
        port |= {"device_id": "", "device_owner": ""} if port["device_id"] == "server-0" else {}
    assert "server-0" in cloud.region.servers
    assert result_of(cloud.ours.let_go([id]))
    assert id not in cloud.region.top.rows["ports"]


def test_a_port_that_no_server_had_yet_is_not_taken_for_one_that_was_let_go_of() -> None:
    cloud, claim = Cloud(1), "c9"
    top, pod = cloud.region.top, cloud.region.all[0]
    (network,) = top.rows["networks"]
    port = top.create("ports", {"network_id": network, "project_id": "p", "device_id": MADE})
    result_of(cloud.ours.claim(claim, pod, [port], [port["id"]], lease=False))
    result_of(cloud.ours.carry(pod, [port], fresh=True))
    cloud.region.servers.add("server-9")
    result_of(cloud.ours.booted(claim, "server-9", pod))
    assert not result_of(cloud.ours.let_go([port["id"]]))


def boot_beside(cloud: Cloud) -> Any:
    """A server of the second pod is to be on the first network, which is in the first pod."""
    top, pod = cloud.region.top, cloud.region.all[1]
    network = min(top.rows["networks"].values(), key=lambda row: row["provider:segmentation_id"])
    body = {"network_id": network["id"], "project_id": "p", "device_id": MADE}
    port = top.create("ports", body)
    result_of(cloud.ours.claim("c", pod, [port], [port["id"]], lease=False))
    return cloud.ours.carry(pod, [port], fresh=True)


def test_a_pod_that_refuses_the_tops_segment_is_named_to_who_boots_and_by_passes() -> None:
    cloud = Cloud(1)

    def refuse(row: Any) -> None:
        raise Refusal(400, "physical_network 'bridge' unknown")

    cloud.region.neutrons[cloud.region.all[1].pod_id]._new_networks = refuse  # type: ignore[method-assign]
    with pytest.raises(NotMade, match="Pod2 could not be given the network: .*'bridge' unknown"):
        result_of(boot_beside(cloud))
    counted = cloud.run()
    assert counted.failed > 0
    assert counted.notes[0].startswith("Pod2: POST /networks: 400 physical_network 'bridge'")


def test_only_a_vlan_spans_pods() -> None:
    """The same VXLAN in two pods joins nothing: each Neutron's agents tunnel among themselves."""
    cloud = Cloud(1)
    (network,) = cloud.region.top.rows["networks"].values()
    network["provider:network_type"] = "vxlan"
    cloud.converge()
    assert cloud.run().failed == 0
    said = "is a vxlan network, and only a vlan spans pods: it is needed in Pod1 and Pod2"
    with pytest.raises(BadRequest, match=said):
        result_of(boot_beside(cloud))
    counted = cloud.run()
    assert counted.failed == 1 and said in counted.notes[0]


def test_metering_labels_are_where_routers_of_their_project_are() -> None:
    cloud = Cloud(2)
    top, router = cloud.region.top, cloud.route()
    rule = {"id": "r1", "direction": "ingress", "remote_ip_prefix": "192.0.2.0/24"}
    body = {"name": "mine", "project_id": "p", "metering_label_rules": [rule]}
    label = top.create("metering/metering-labels", body)
    top.create("metering/metering-labels", {"name": "another's", "project_id": "q"})

    def labels() -> list[dict[str, list[str]]]:
        """Of each pod: the prefixes of labels, by name."""
        return [
            {
                one["name"]: [rule["remote_ip_prefix"] for rule in one["metering_label_rules"]]
                for one in some["metering/metering-labels"].values()
            }
            for some in cloud.below
        ]

    cloud.converge()
    assert labels() == [{"mine": ["192.0.2.0/24"]}] * 2
    label["metering_label_rules"] = [rule | {"remote_ip_prefix": "198.51.100.0/24"}]
    cloud.converge()
    assert labels() == [{"mine": ["198.51.100.0/24"]}] * 2
    for port in [p for p in top.rows["ports"].values() if p["device_id"] == router]:
        top._interface(top.rows["routers"][router], "remove_router_interface", port["id"])
    cloud.converge()
    assert labels() == [{}, {}]


def test_a_local_ip_is_in_the_pods_of_the_ports_that_have_it() -> None:
    cloud = Cloud(2)
    top = cloud.region.top
    servers = {
        p["device_id"]: p for p in top.rows["ports"].values() if "compute" in p["device_owner"]
    }
    ports = [servers["server-0"], servers["server-1"]]
    network = ports[0]["network_id"]
    owner = {"project_id": "p", "device_owner": "network:local_ip", "security_groups": []}
    own = top.create("ports", {"network_id": network, **owner})
    address = own["fixed_ips"][0]["ip_address"]
    had = [
        {"fixed_port_id": port["id"], "fixed_ip": port["fixed_ips"][0]["ip_address"]}
        for port in ports
    ]
    body = {"name": "l", "project_id": "p", "network_id": network, "local_port_id": own["id"]}
    body |= {"local_ip_address": address, "port_associations": had}
    row = top.create("local_ips", body)

    def local() -> list[list[tuple[str, list[str]]]]:
        """Of each pod: addresses of local IPs, and of what has them."""
        found = []
        for some in cloud.below:
            ips = {id: p["fixed_ips"][0]["ip_address"] for id, p in some["ports"].items()}
            found.append(
                [
                    (
                        ips[o["local_port_id"]],
                        [ips[a["fixed_port_id"]] for a in o["port_associations"]],
                    )
                    for o in some["local_ips"].values()
                ]
            )
        return found

    cloud.converge()
    assert local() == [[(address, [one["fixed_ip"]])] for one in had]
    row["port_associations"] = had[:1]
    cloud.converge()
    assert local() == [[(address, [had[0]["fixed_ip"]])], []]
    assert [len(some["networks"]) for some in cloud.below] == [1, 1]
    row["port_associations"] = []
    cloud.converge()
    assert local() == [[], []]
    result_of(cloud.ours.keep_hints({network: [cloud.region.all[0].pod_name]}))
    result_of(cloud.ours.check_local_ip(network, ports[0]["id"]))
    with pytest.raises(Refused, match=f"{network} is for availability zone .*{ports[1]['id']}"):
        result_of(cloud.ours.check_local_ip(network, ports[1]["id"]))


def test_a_trunk_that_went_while_its_pod_was_not_asked_loses_its_subports_and_then_goes() -> None:
    """A pod lets no trunk go whose server is there, but its subports."""
    cloud = Cloud(1)
    top, (network,) = cloud.region.top, cloud.region.top.rows["networks"]
    parent, sub = (top.create("ports", {"network_id": network, "project_id": "p"}) for _ in "ab")
    one = {"port_id": sub["id"], "segmentation_type": "vlan", "segmentation_id": 7}
    trunk = top.create("trunks", {"port_id": parent["id"], "project_id": "p", "sub_ports": [one]})
    cloud.bind(top.shown("ports", parent), 0, 2, ours=False)
    cloud.converge()
    assert [len(t["sub_ports"]) for t in cloud.below[0]["trunks"].values()] == [1]
    top.delete("trunks", trunk["id"])
    cloud.restart(Store())
    cloud.run()
    assert [t["sub_ports"] for t in cloud.below[0]["trunks"].values()] == [[]]
    assert f"trio2o:{sub['id']}" not in [p["description"] for p in cloud.below[0]["ports"].values()]
    cloud.end("server-2")
    cloud.converge()
    assert not cloud.below[0]["trunks"]


def test_a_dhcp_agents_port_that_took_the_address_held_for_it_is_the_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(DEFAULTS["subnets"], "enable_dhcp", False)
    cloud = Cloud(1)
    cloud.region.neutrons[cloud.region.all[0].pod_id].agent = True
    top, (network,) = cloud.region.top, cloud.region.top.rows["networks"]
    modes = dict.fromkeys(("ipv6_ra_mode", "ipv6_address_mode"), "dhcpv6-stateful")
    body = {"network_id": network, "project_id": "p", "ip_version": 6, "cidr": "2001:db8::/123"}
    top.create("subnets", body | modes | {"enable_dhcp": True})
    result_of(cloud.ours.settle_network(network))
    assert cloud.run().drift == 0
    (held,) = [p for p in top.rows["ports"].values() if "trio2o-dhcp" in p["device_id"]]
    (port,) = [p for p in cloud.below[0]["ports"].values() if p["device_owner"] == "network:dhcp"]
    assert (port["device_id"], port["description"]) == ("agent", f"trio2o:{held['id']}")
    addresses = [[ip["ip_address"] for ip in one["fixed_ips"]] for one in (held, port)]
    assert addresses[0] == addresses[1]


def test_a_router_that_may_have_ndp_proxies_is_in_a_pod_that_knows_none() -> None:
    cloud = Cloud(1)
    cloud.region.neutrons[cloud.region.all[0].pod_id].ndp = False
    top, router = cloud.region.top, cloud.route()
    more = {"router:external": True, "provider:segmentation_id": 99}
    outside = top.create("networks", {"name": "e", **more})["id"]
    top.create("subnets", {"network_id": outside, "cidr": "203.0.113.0/27", "enable_dhcp": False})
    row = top.rows["routers"][router]
    top._change("routers", row, {"external_gateway_info": {"network_id": outside}})
    row["enable_ndp_proxy"] = True
    cloud.converge()
    (own,) = cloud.below[0]["routers"].values()
    assert own["external_gateway_info"] and not own["enable_ndp_proxy"]


def test_pools_and_their_scopes_are_in_the_pods_of_their_ipv6_subnets() -> None:
    cloud = Cloud(1)
    top, (network,) = cloud.region.top, cloud.region.top.rows["networks"]
    scope = top.create("address-scopes", {"name": "s", "project_id": "p"})
    pool = top.create(
        "subnetpools", {"name": "p", "project_id": "p", "prefixes": ["2001:db8::/48"]}
    )
    body = {"network_id": network, "project_id": "p", "ip_version": 6, "cidr": "2001:db8::/123"}
    subnet = top.create("subnets", body)
    cloud.converge()
    assert not cloud.below[0]["subnetpools"]
    subnet["subnetpool_id"] = pool["id"]  # as when a network's subnets are taken into a pool
    pool["address_scope_id"] = scope["id"]
    cloud.converge()
    (own,), (there,) = (cloud.below[0][kind].values() for kind in ("subnetpools", "address-scopes"))
    assert [s["subnetpool_id"] for s in cloud.below[0]["subnets"].values()] == [None, own["id"]]
    assert (own["name"], own["address_scope_id"]) == ("p", there["id"])
    assert there["name"] == f"trio2o:{scope['id']}"
    pool["prefixes"] = ["2001:db8::/47"]
    result_of(cloud.ours.settle_alone(things.POOL, pool["id"]))
    assert [one["prefixes"] for one in cloud.below[0]["subnetpools"].values()] == [pool["prefixes"]]
    cloud.end("server-0")
    cloud.converge()
    assert not cloud.below[0]["subnetpools"] and not cloud.below[0]["address-scopes"]


def test_ports_have_the_names_of_their_hosts_where_there_is_dns() -> None:
    """The first pod has none; in the second Nova writes the name, too."""
    cloud = Cloud(0)
    top, (_, two) = cloud.region.top, cloud.region.all
    top.dns = cloud.region.neutrons[two.pod_id].dns = True
    for number in range(2):
        cloud.boot(number)
    ports = {
        p["device_id"]: p for p in top.rows["ports"].values() if "compute" in p["device_owner"]
    }
    assert [ports[f"server-{n}"]["dns_name"] for n in (0, 1)] == [
        "host-of-server-0",
        "host-of-server-1",
    ]
    cloud.converge()
    names = [
        [p.get("dns_name") for p in some["ports"].values() if "compute" in p["device_owner"]]
        for some in cloud.below
    ]
    assert names == [[None], ["host-of-server-1"]]
    # what was lost when we ended is told later
    ports["server-1"]["dns_name"] = ""
    assert cloud.run().failed == 0
    assert ports["server-1"]["dns_name"] == "host-of-server-1"
    # a tenant's own name goes along, for the pod's Nova to judge
    for number in (2, 3):
        cloud.boot(number, dns_name="web")
    cloud.converge()
    named = [[p.get("dns_name") for p in some["ports"].values()] for some in cloud.below]
    assert [names.count("web") for names in named] == [0, 1]
