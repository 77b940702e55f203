"""Whatever happens, in whatever order: in the end every pod has what the top wants, and no more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from typing import Any

from helpers import result_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule
from neutrons import GO_ALONG, Crash, Refusal, Region, Store, new_id, number_ids
from twisted.internet.task import Clock

from trio2o.domain.errors import Fault
from trio2o.domain.values import Pod
from trio2o.message import Call
from trio2o.networks import MADE, TAKEN, NetworkPass, Networks, settle_router
from trio2o.networks._plan import says
from trio2o.networks._things import Ref
from trio2o.settings import NetworkSettings

PROJECTS = ("p1", "p2")


class Convergence(RuleBasedStateMachine):
    """Tenants change the top, servers come and go, pods fail, strangers meddle, we crash."""

    networks = Bundle("networks")
    groups = Bundle("groups")
    servers = Bundle("servers")
    routers = Bundle("routers")

    @initialize(target=networks, seed=st.integers(0, 99), pick=st.integers(1, 8))
    def begin(self, seed: int, pick: int = 0) -> str:
        """Two servers are on one network, each in its pod, and may be reached from outside."""
        number_ids(seed)
        self.region, self.store, self.clock = Region(2), Store(), Clock()
        self.region.neutrons["id-2"].ovn = True
        self.clock.advance(1_800_000_000)
        self.segment = 100
        self.used: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.unknown: set[str] = set()
        self.lost = False
        self.outside: dict[str, list[str]] = {}
        scope = self.region.top.create("address-scopes", {"name": "s", "project_id": "p1"})["id"]
        pool = {"name": "p", "prefixes": ["2001:db8::/32"], "address_scope_id": scope}
        self.pool = self.region.top.create("subnetpools", pool | {"project_id": "p1"})["id"]
        for one in self.region.all:
            self.segment += 1
            more = {"router:external": True, "provider:segmentation_id": self.segment}
            id = self.region.top.create("networks", {"name": "e", **more})["id"]
            cidr = f"203.0.113.{self.segment % 2 * 32}/27"
            self.region.top.create(
                "subnets", {"network_id": id, "cidr": cidr, "enable_dhcp": False}
            )
            cidr = f"2001:db8:e{self.segment}::/123"
            six = {"cidr": cidr, "ip_version": 6, "subnetpool_id": self.pool, "enable_dhcp": False}
            self.region.top.create("subnets", {"network_id": id, **six})
            self.outside[id] = [one.pod_name]
        policy = {"name": "slow", "rules": [{"id": "r", "type": "dscp_marking", "dscp_mark": 8}]}
        self.policy = self.region.top.create("qos/policies", policy)["id"]
        rule = {"id": "r", "direction": "ingress", "remote_ip_prefix": "192.0.2.0/24"}
        label = {"name": "m", "project_id": "p1", "metering_label_rules": [rule]}
        self.region.top.create("metering/metering-labels", label)
        self.restart()
        id = self.make_network("p1", True)
        if pick in (2, 7, 8):
            self.segment += 1 - self.segment % 2
            self.make_subnet(id, False, True, True, pick == 8)
        for which in (0, 1):
            self.boot(id, "", True, which, True, "", 0)
        if pick % 2:
            self.float(pick // 2, pick % 3 % 2, True)
        if pick in (2, 7, 8):
            self.proxy(pick, seed % 2, True)
        if pick > 4:
            self.forward(pick, seed % 2, 1, True)
        return id

    @rule()
    def lose_the_store(self) -> None:
        """The marks in the pods are enough to go on, and no server loses its port; only hints
        have to be given again. Of a port that was deleted in its pod nobody knows where it was.
        """
        self.unknown |= self.deleted
        self.lost = True
        self.store = Store()
        self.restart()

    def restart(self) -> None:
        """The appliance is killed and started: only the store and the Neutrons remain."""

        async def token(project_id: str = "") -> str:
            return "token"

        pods: Any = self.region
        store: Any = self.store
        if hasattr(self, "ours"):
            self.ours.stop()
        self.ours = Networks(
            self.clock,
            self.clock.seconds,
            store,
            pods,
            token,
            NetworkSettings(mode="stretched", bridge_cidr_v6="fd00::/123"),
            settle_router,
        )

        result_of(self.ours.keep_hints(self.outside))

    def run(self, call: Any, how: str = "", after: int = 0) -> bool:
        """Run what we do; the write with this number goes wrong in this way."""
        left = [after]

        def fail(pod: Pod, call: Call) -> str:
            if pod.is_top and "crash" not in how:
                return ""
            left[0] -= 1
            return how if left[0] == -1 else ""

        self.region.fail = fail
        try:
            result_of(call)
        except Crash:
            self.restart()
            return False
        except Fault:
            return False
        finally:
            self.region.fail = lambda pod, call: ""
        return True

    # tenants

    @rule(target=networks, project=st.sampled_from(PROJECTS), home=st.booleans())
    def make_network(self, project: str, home: bool) -> str:
        self.segment += 1
        body = {"project_id": project, "name": "n", "provider:segmentation_id": self.segment}
        id = self.region.top.create("networks", body)["id"]
        self.make_subnet(id, True, home)
        return str(id)

    @rule(id=networks, dhcp=st.booleans(), gateway=st.booleans(), six=st.booleans(),
          slaac=st.booleans())  # fmt: skip
    def make_subnet(
        self, id: str, dhcp: bool, gateway: bool, six: bool = False, slaac: bool = False
    ) -> None:
        top = self.region.top
        if id not in top.rows["networks"] or len(top.subnets(id)) > 1:
            return
        number = len(top.subnets(id))
        prefix = f"2001:db8:{self.segment}:" if six else f"10.{self.segment % 200}.{number}."
        body = {
            "network_id": id,
            "project_id": top.rows["networks"][id]["project_id"],
            "ip_version": 6 if six else 4,
            "cidr": f"{prefix}:/{64 if slaac else 123}" if six else f"{prefix}0/27",
            "gateway_ip": f"{prefix}{':' * six}1" if gateway else None,
            "enable_dhcp": dhcp or (six and slaac),
            "ipv6_ra_mode": "slaac" if six and slaac else None,
            "ipv6_address_mode": "slaac" if six and slaac else None,
            "subnetpool_id": self.pool if six and self.segment % 2 else None,
        }
        top.create("subnets", body)
        self.run(self.ours.settle_network(id))

    @rule(id=networks, name=st.sampled_from("abc"), dns=st.booleans())
    def rename(self, id: str, name: str, dns: bool) -> None:
        if id in self.region.top.rows["networks"]:
            self.region.top.rows["networks"][id]["name"] = name
            for subnet in self.region.top.subnets(id):
                subnet["dns_nameservers"] = ["192.0.2.1"] if dns else []
            self.run(self.ours.settle_network(id))

    @rule(id=networks, told=st.booleans())
    def delete_network(self, id: str, told: bool) -> None:
        try:
            self.region.top.delete("networks", id)
        except Exception:
            return
        if told:
            self.run(self.ours.settle_network(id))

    @rule(target=groups, project=st.sampled_from(PROJECTS))
    def make_group(self, project: str) -> str:
        return str(
            self.region.top.create("security-groups", {"project_id": project, "name": "g"})["id"]
        )

    @rule(id=groups, other=groups, port=st.integers(1, 3), told=st.booleans())
    def change_rules(self, id: str, other: str, port: int, told: bool) -> None:
        top = self.region.top
        rules, known = top.rows["security-group-rules"], top.rows["security-groups"]
        if id not in known or other not in known:
            return
        mine = [r["id"] for r in rules.values() if r["security_group_id"] == id]
        if len(mine) > 3:
            del rules[mine[port]]
        try:
            remote = other if port > 1 else None
            top.rule(known[id], direction="ingress", port_range_min=port, remote_group_id=remote)
        except Exception:
            return
        if told:
            self.run(self.ours.settle_all_groups([id]))

    @rule(id=consumes(groups))
    def delete_group(self, id: str) -> None:
        try:
            self.region.top.delete("security-groups", id)
        except Exception:
            return

    @rule(
        target=servers,
        id=networks,
        group=groups,
        default=st.booleans(),
        which=st.integers(0, 1),
        ours=st.booleans(),
        how=st.sampled_from(["", "", "crash before", "crash after", "unreachable", "broken"]),
        after=st.integers(0, 25),
    )
    def boot(
        self, id: str, group: str, default: bool, which: int, ours: bool, how: str, after: int
    ) -> str:
        """As the compute face does it; Nova binds the port, or nothing came of it."""
        top = self.region.top
        if id not in top.rows["networks"]:
            return ""
        named = not default and group in top.rows["security-groups"]
        try:
            port = self.new_port(id, **({"security_groups": [group]} if named else {}))
        except IndexError:  # no address is left
            return ""
        return self.boot_on(port, which, ours, how, after)

    def boot_on(self, port: Any, which: int, ours: bool, how: str = "", after: int = 0) -> str:
        """A port of the top's is claimed for a new server."""
        pod, claim, server = self.region.all[which], new_id(), new_id()
        top = self.region.top.rows["ports"][port["id"]]
        top["device_id"] = MADE + claim if ours else TAKEN + claim

        async def call() -> None:
            await self.ours.claim(claim, pod, [port], [port["id"]] if ours else [], lease=False)
            try:
                bottoms = await self.ours.carry(pod, [port], fresh=True)
            except Fault:
                await self.ours.abandon(claim)
                raise
            self.region.servers.add(server)
            bottom = self.region.neutrons[pod.pod_id].rows["ports"][bottoms[port["id"]]]
            bottom |= {"device_id": server, "device_owner": "compute:nova"}
            await self.ours.booted(claim, server, pod)

        if self.run(call(), how, after):
            self.used[server] = port["id"]
        return server

    @rule(
        id=networks,
        which=st.integers(0, 1),
        how=st.sampled_from(["", "", "crash before", "crash after", "unreachable", "broken"]),
        after=st.integers(0, 25),
        answered=st.booleans(),
    )
    def boot_two(self, id: str, which: int, how: str, after: int, answered: bool) -> None:
        """Nova makes ports for servers that are asked for at once, on addresses of the top's."""
        top, pod, claim = self.region.top, self.region.all[which], new_id()
        if id not in top.rows["networks"]:
            return
        try:
            ports = [self.new_port(id, device_id=MADE + claim) for _ in range(2)]
        except IndexError:
            return

        async def call() -> None:
            ids = [port["id"] for port in ports]
            await self.ours.claim(claim, pod, ports, ids, lease=True)
            try:
                there = await self.ours.lease(pod, ports)
            except Fault:
                await self.ours.abandon(claim)
                raise
            used = [ip for p in self.region.neutrons[pod.pod_id].rows["ports"].values()
                    for ip in p["fixed_ips"]]  # fmt: skip
            taken = {ip["ip_address"] for ip in used}
            if any(ip["ip_address"] in taken for port in ports for ip in port["fixed_ips"]):
                return  # what had an address before still has it here: Nova finds none
            for _ in ports:
                self.region.servers.add(server := new_id())
                body = {"network_id": there[Ref("networks", id)], "device_id": server}
                groups = [there[Ref("security-groups", one)] for one in ports[0]["security_groups"]]
                body |= {"device_owner": "compute:nova", "security_groups": groups}
                body |= {"project_id": ports[0]["project_id"]}
                self.region.neutrons[pod.pod_id].create("ports", body)
            if answered:
                await self.ours.booted(claim, server, pod)

        self.run(call(), how, after)

    @rule(pick=st.integers(0, 20))
    def detach(self, pick: int) -> None:
        """A server lets an interface go."""
        if not self.used:
            return
        server = sorted(self.used)[pick % len(self.used)]
        del self.used[server]
        for one in self.region.all:
            for port in self.region.neutrons[one.pod_id].rows["ports"].values():
                if port["device_id"] == server:
                    port |= {"device_id": "", "device_owner": ""}
        self.run(self.ours.leaving(server))

    @rule(pick=st.integers(0, 20), what=st.integers(0, 4), group=groups, told=st.booleans())
    def change_port(self, pick: int, what: int, group: str, told: bool) -> None:
        top, ports = self.region.top, sorted(self.used.values())
        if not ports or (port := top.rows["ports"].get(ports[pick % len(ports)])) is None:
            return
        before = port["security_groups"]
        if what == 0:
            port["name"] = f"p{pick}"
        elif what == 1:
            known = group in top.rows["security-groups"] and pick % 3
            default = top.default_group(port["project_id"])["id"]
            port["security_groups"] = [group if known else default]
        elif what == 2:
            pairs = [{"ip_address": "192.0.2.7", "mac_address": port["mac_address"]}]
            port["allowed_address_pairs"] = pairs[: pick % 2]
        elif what == 3:
            options = [{"opt_name": "mtu", "opt_value": str(pick), "ip_version": 4}]
            port["extra_dhcp_opts"] = options[: pick % 2]
        else:
            port["admin_state_up"] = bool(pick % 2)
        if told:
            self.run(self.ours.settle_ports([port["id"]], before))

    @rule(pick=st.integers(0, 20), told=st.booleans())
    def move_port(self, pick: int, told: bool) -> None:
        """A server's port gets other addresses."""
        top, ports = self.region.top, sorted(self.used.values())
        if not ports or (port := top.rows["ports"].get(ports[pick % len(ports)])) is None:
            return
        subnets = top.subnets(port["network_id"])
        four, six = ([s["id"] for s in subnets if s["ip_version"] == v] for v in (4, 6))
        new = [{"subnet_id": id} for id in four[-(pick % 2) :][:1] + six[: pick % 3]]
        with contextlib.suppress(IndexError, Refusal):
            top._change("ports", port, {"fixed_ips": new})
        if told:
            self.run(self.ours.settle_ports([port["id"]]))

    @rule(id=networks, last=st.booleans(), told=st.booleans())
    def delete_subnet(self, id: str, last: bool, told: bool) -> None:
        subnets = self.region.top.subnets(id)
        if len(subnets) < 2:
            return
        with contextlib.suppress(Refusal):
            self.region.top.delete("subnets", subnets[-last]["id"])
        if told:
            self.run(self.ours.settle_network(id))

    @rule(pick=st.integers(0, 20), id=networks, told=st.booleans())
    def limit(self, pick: int, id: str, told: bool) -> None:
        """A network, or a port of a server, gets a QoS policy or loses it."""
        rows, ports = self.region.top.rows, sorted(self.used.values())
        row = rows["networks"].get(id) if pick % 3 or not ports else None
        row = row or (rows["ports"].get(ports[pick % len(ports)]) if ports else None)
        if row is None:
            return
        row["qos_policy_id"] = self.policy if pick % 2 else None
        if told and row["id"] == id:
            self.run(self.ours.settle_network(id))
        elif told:
            self.run(self.ours.settle_ports([row["id"]]))

    @rule(router=routers, id=networks, some=st.booleans(), told=st.booleans())
    def lead(self, router: str, id: str, some: bool, told: bool) -> None:
        """A tenant's own route, by an address of a network of the router's."""
        top = self.region.top
        row, subnets = top.rows["routers"].get(router), top.subnets(id)
        if row is None or not subnets:
            return
        hop = str(ip_network(subnets[0]["cidr"])[9])
        with contextlib.suppress(Refusal):
            top._change(
                "routers",
                row,
                {"routes": [{"destination": "198.51.100.0/24", "nexthop": hop}][:some]},
            )
        if told:
            self.run(self.ours.settle_router(self.ours, router))

    @rule(id=networks, to=st.sampled_from(["p2", "*"]), told=st.booleans())
    def share(self, id: str, to: str, told: bool) -> None:
        """Another project may use a network, or all may, or no longer."""
        top = self.region.top
        shares = top.rows["rbac-policies"]
        if id not in top.rows["networks"]:
            return
        mine = [
            s["id"] for s in shares.values() if (s["object_id"], s["target_tenant"]) == (id, to)
        ]
        for old in mine:
            del shares[old]
        body = {"object_type": "network", "object_id": id, "action": "access_as_shared"}
        if not mine:
            top.create("rbac-policies", body | {"target_tenant": to, "project_id": "p1"})
        if told:
            self.run(self.ours.settle_network(id))

    @rule(server=consumes(servers), told=st.booleans())
    def end_server(self, server: str, told: bool) -> None:
        if not server:
            return
        self.region.servers.discard(server)
        for one in self.region.all:
            for port in self.region.neutrons[one.pod_id].rows["ports"].values():
                if port["device_id"] == server:
                    port |= {"device_id": "", "device_owner": ""}
        if told:
            self.run(self.ours.ended(server))

    @rule(target=routers)
    def make_router(self) -> str:
        return str(self.region.top.create("routers", {"project_id": "p1", "name": "r"})["id"])

    @rule(router=routers, id=networks, told=st.booleans())
    def join(self, router: str, id: str, told: bool) -> None:
        top = self.region.top
        if router not in top.rows["routers"] or not (subnets := top.subnets(id)):
            return
        gateway = subnets[0]["gateway_ip"]
        taken = {p["device_id"] for p in top.rows["ports"].values() if p["network_id"] == id}
        if gateway is None or taken & set(top.rows["routers"]):
            return
        for subnet in [subnets[0]] + [s for s in subnets if s["ip_version"] == 6]:
            body = {"network_id": id, "project_id": "p1", "security_groups": []}
            address = subnet["gateway_ip"]
            if address is None:
                continue
            body |= {"fixed_ips": [{"subnet_id": subnet["id"], "ip_address": address}]}
            body |= {"device_id": router, "device_owner": "network:router_interface"}
            top.create("ports", body)
        if told:
            self.run(self.ours.settle_router(self.ours, router))

    @rule(router=routers, last=st.booleans(), told=st.booleans())
    def part(self, router: str, last: bool, told: bool) -> None:
        top = self.region.top
        row, ports = top.rows["routers"].get(router), top.rows["ports"].values()
        mine = [p["id"] for p in ports if p["device_id"] == router and "face" in p["device_owner"]]
        if row is None or not mine:
            return
        try:
            top._interface(row, "remove_router_interface", mine[-1])
            if last:
                top.delete("routers", router)
        except Refusal:
            pass
        if told:
            self.run(self.ours.settle_router(self.ours, router))

    @rule(router=routers, which=st.integers(0, 2), told=st.booleans())
    def open(self, router: str, which: int, told: bool) -> None:
        """A router gets a gateway in either pod, or loses it."""
        row = self.region.top.rows["routers"].get(router)
        info = {"network_id": list(self.outside)[which]} if which < 2 else None
        if row is None or info and (old := row["external_gateway_info"]) and old == info:
            return
        try:
            self.region.top._change("routers", row, {"external_gateway_info": info})
        except Refusal:
            return
        row["conntrack_helpers"] = [{"protocol": "udp", "port": 69, "helper": "tftp"}][:which]
        if told:
            self.run(self.ours.settle_router(self.ours, router))

    def led_to(self, pick: int, which: int, told: bool) -> str:
        """The port of a server on a network that is joined to a router with a gateway; ''."""
        top, ports = self.region.top, sorted(self.used.values())
        if not ports or (port := ports[pick % len(ports)]) not in top.rows["ports"]:
            return ""
        joined = top.rows["ports"][port]["network_id"]
        there = [p for p in top.rows["ports"].values() if p["network_id"] == joined]
        routers = sorted({p["device_id"] for p in there} & set(top.rows["routers"]))
        routers = routers or [*sorted(top.rows["routers"]), self.make_router()]
        router = routers[pick % len(routers)]
        self.open(router, which, told)
        self.join(router, joined, told)
        return port

    @rule(pick=st.integers(0, 20), which=st.integers(0, 1), told=st.booleans())
    def float(self, pick: int, which: int, told: bool) -> None:
        """A server gets a floating IP: a new one, or another's. Its network is joined to a router
        with a gateway before, where it is not."""
        top, port = self.region.top, self.led_to(pick, which, told)
        if not port:
            return
        network, floats = list(self.outside)[which], top.rows["floatingips"].values()
        mine = (f for f in floats if f["floating_network_id"] == network)
        old = next((f for f in mine if not f["port_forwardings"]), None)
        routers = {old["router_id"]} if old else set()
        try:
            if old and pick % 3:
                top._change("floatingips", old, {"port_id": port})
            else:
                body = {"floating_network_id": network, "port_id": port, "project_id": "p1"}
                old = top.create("floatingips", body)
        except Refusal:
            return
        old["qos_policy_id"] = self.policy if pick % 2 else None
        self.route({*routers, old["router_id"]}, told)

    def route(self, routers: set[str | None], told: bool) -> None:
        for router in routers - {None} if told else ():
            self.run(self.ours.settle_router(self.ours, str(router)))

    @rule(
        pick=st.integers(0, 20),
        which=st.integers(0, 1),
        outside=st.integers(1, 3),
        told=st.booleans(),
    )
    def forward(self, pick: int, which: int, outside: int, told: bool) -> None:
        """A floating IP forwards a port of its own to a server, or does so no more."""
        top, port = self.region.top, self.led_to(pick, which, told)
        if not port:
            return
        network, floats = list(self.outside)[which], top.rows["floatingips"].values()
        mine = (f for f in floats if f["floating_network_id"] == network)
        row = next((f for f in mine if not f["port_id"]), None)
        body = {"floating_network_id": network, "project_id": "p1"}
        row = row or top.create("floatingips", body)
        routers, words = {row["router_id"]}, ["port_forwardings"]
        old = [way["id"] for way in row["port_forwardings"] if way["external_port"] == outside]
        way = {"protocol": "tcp", "external_port": outside, "internal_port": pick + 10}
        address = top.rows["ports"][port]["fixed_ips"][0]["ip_address"]
        way |= {"internal_port_id": port, "internal_ip_address": address}
        try:
            if old:
                top._part(row, [*words, old[0]], "DELETE", {})
            if not old or pick % 2:
                top._part(row, words, "POST", {"port_forwarding": way})
        except Refusal:
            pass
        self.route({*routers, row["router_id"]}, told)

    @rule(pick=st.integers(0, 20), which=st.integers(0, 1), told=st.booleans())
    def proxy(self, pick: int, which: int, told: bool) -> None:
        """A router's external network sees an IPv6 address of a server, or does so no more."""
        top, port = self.region.top, self.led_to(pick, which, told)
        if not port:
            return
        row, proxies = top.rows["ports"][port], top.rows["ndp-proxies"]
        mine = {p["device_id"] for p in top.rows["ports"].values() if "face" in p["device_owner"]
                and p["network_id"] == row["network_id"]}  # fmt: skip
        for ip in row["fixed_ips"]:
            old = [p["id"] for p in proxies.values() if p["ip_address"] == ip["ip_address"]]
            body = {"router_id": min(mine, default=""), "port_id": port, "project_id": "p1"}
            try:
                if old:
                    del proxies[old[0]]
                elif mine and ":" in ip["ip_address"]:
                    top.create("ndp-proxies", body | {"ip_address": ip["ip_address"]})
            except Refusal:
                pass
        self.route({*mine}, told)

    @rule(pick=st.integers(0, 20), told=st.booleans())
    def sink(self, pick: int, told: bool) -> None:
        floats = self.region.top.rows["floatingips"]
        if not floats:
            return
        row = floats[sorted(floats)[pick % len(floats)]]
        router = row["router_id"]
        for way in list(row["port_forwardings"]):
            self.region.top._part(row, ["port_forwardings", way["id"]], "DELETE", {})
        self.region.top.delete("floatingips", row["id"])
        if told:
            self.run(self.ours.remove_everywhere(row["id"]))
        self.route({router}, told)

    @rule(id=networks, other=networks, home=st.integers(0, 1), number=st.integers(1, 3))
    def trunk(self, id: str, other: str, home: int, number: int) -> None:
        """A server that has a trunk comes up."""
        top = self.region.top
        if not {id, other} <= set(top.rows["networks"]):
            return
        try:
            parent = self.new_port(id)
            sub = {"port_id": self.new_port(other)["id"], "segmentation_type": "vlan"}
            subs = [sub | {"segmentation_id": number}]
            body = {"port_id": parent["id"], "project_id": "p1", "name": "t", "sub_ports": subs}
        except IndexError:  # no address is left
            return
        top.create("trunks", body)
        self.boot_on(top.shown("ports", parent), home, False)

    def new_port(self, network: str, **more: Any) -> Any:
        project = self.region.top.rows["networks"][network]["project_id"]
        body = {"network_id": network, "project_id": project, **more}
        return self.region.top.create("ports", body)

    @rule(pick=st.integers(0, 5), how=st.integers(0, 2), id=networks, told=st.booleans())
    def change_trunk(self, pick: int, how: int, id: str, told: bool) -> None:
        """A trunk loses a subport, gets one, or goes: if its pod lets it, which is asked first."""
        top = self.region.top
        trunks = top.rows["trunks"]
        if not trunks:
            return
        row = trunks[sorted(trunks)[pick % len(trunks)]]
        if how == 0:
            top._subports(row, "remove_subports", row["sub_ports"][:1])
        elif how == 1 and id in top.rows["networks"]:
            with contextlib.suppress(Refusal, IndexError):
                one = {"port_id": self.new_port(id)["id"], "segmentation_type": "vlan"}
                top._subports(row, "add_subports", [one | {"segmentation_id": pick + 4}])
        elif how == 2 and not self.region.down:  # nor has the record been lost while one was
            if not self.run(self.ours.settle_trunk(row["id"], leave=True)):
                return
            below = [one.rows["trunks"].values() for one in self.region.neutrons.values()]
            if any(t["description"].endswith(row["id"]) for some in below for t in some):
                return  # while it is not known where it is, the pod cannot be asked
            top.delete("trunks", row["id"])
        if told:
            self.run(self.ours.settle_trunk(row["id"]))

    @rule(pick=st.integers(0, 20), id=networks)
    def associate(self, pick: int, id: str) -> None:
        """A server's port gets a local IP of a network, or has it no more."""
        top, ports = self.region.top, sorted(self.used.values())
        if id not in top.rows["networks"] or not ports:
            return
        port = top.rows["ports"].get(ports[pick % len(ports)])
        mine = (row for row in top.rows["local_ips"].values() if row["network_id"] == id)
        if port is None or (row := next(mine, None)) is None and pick % 2:
            return
        if row is None:
            try:
                own = self.new_port(id, device_owner="network:local_ip", security_groups=[])
            except IndexError:  # no address is left
                return
            address = own["fixed_ips"][0]["ip_address"]
            body = {"network_id": id, "local_port_id": own["id"], "local_ip_address": address}
            row = top.create("local_ips", body | {"project_id": own["project_id"]})
        had = row["port_associations"]
        left = [one for one in had if one["fixed_port_id"] != port["id"]]
        new = {"fixed_port_id": port["id"], "fixed_ip": port["fixed_ips"][0]["ip_address"]}
        row["port_associations"] = left if len(left) < len(had) else [*left, new]

    # the rest of the world

    @rule(which=st.integers(0, 1), up=st.booleans())
    def fail_pod(self, which: int, up: bool) -> None:
        id = self.region.all[which].pod_id
        self.region.down.discard(id) if up else self.region.down.add(id)

    @rule(which=st.integers(0, 1), pick=st.integers(0, 50), what=st.integers(0, 3))
    def meddle(self, which: int, pick: int, what: int) -> None:
        """Somebody changes a pod behind our back."""
        neutron = self.region.neutrons[self.region.all[which].pod_id]
        kinds = ("networks", "subnets", "security-groups", "security-group-rules")
        kind = (*kinds, "address-groups", "ports", "floatingips")[pick % 7]
        rows = sorted(neutron.rows[kind])
        if not rows:
            return
        row = neutron.rows[kind][rows[pick % len(rows)]]
        if what == 0 and row.get("name") != "default":
            try:
                neutron.delete(kind, row["id"])
            except Exception:
                return
            if kind == "ports":
                self.used.pop(row["device_id"], None)
                (self.unknown if self.lost else self.deleted).add(row["description"][7:])
        elif what == 1 and "name" in row and row["name"] != "default":
            row["name"] = "changed"
        elif what == 2 and kind == "security-groups":
            try:
                neutron.rule(row, direction="ingress", port_range_min=999)
            except Exception:
                return
        elif what == 3 and kind == "address-groups":
            row["addresses"] = ["192.0.2.9/32"]

    @rule(
        how=st.sampled_from(["", "crash before", "crash after", "unreachable", "broken"]),
        after=st.integers(0, 12),
        wait=st.sampled_from([0, 0, 1000]),
    )
    def reconcile(self, how: str, after: int, wait: int) -> None:
        self.clock.advance(wait)
        if self.run(NetworkPass(self.ours).run(), how, after) and not self.region.down:
            self.lost = False

    def teardown(self) -> None:
        if not hasattr(self, "region"):
            return
        self.region.down.clear()
        self.restart()
        self.clock.advance(1000)
        for _ in range(6):
            result_of(NetworkPass(self.ours).run())
        self.region.writes.clear()
        counted = result_of(NetworkPass(self.ours).run())
        assert self.region.writes == []
        assert (counted.drift, counted.failed) == (0, 0)
        self.assert_equal()

    def assert_equal(self) -> None:
        """What the pods have, read without any of our code."""
        top = self.region.top
        for server in self.region.servers & set(self.used):
            assert top.rows["ports"][self.used[server]]["device_id"] == server
        bound: dict[str, str] = {}
        inner = {
            one["port_id"]: trunk["port_id"]
            for trunk in top.rows["trunks"].values()
            for one in trunk["sub_ports"]
        }
        for one in self.region.all:
            rows = self.region.neutrons[one.pod_id].rows
            for port in rows["ports"].values():
                if port["device_owner"] in ("network:router_gateway", "network:floatingip"):
                    continue
                if port["device_owner"] == "network:ndp_proxy":
                    assert port["id"] in {p["port_id"] for p in rows["ndp-proxies"].values()}
                    continue
                told = [ip["ip_address"] for ip in port["fixed_ips"]]
                if ovn := port["device_owner"] == "network:distributed":
                    told = [address for address in told if ":" not in address]  # its own MAC's
                    if not told:
                        continue
                assert port["description"].startswith("trio2o:")
                twin = top.rows["ports"][port["description"][7:]]
                if twin["device_id"].startswith("trio2o-floating:"):
                    continue
                if "router" in port["device_owner"] or "bridge" in twin["device_id"]:
                    assert port["device_id"] in rows["routers"]
                    continue
                if twin["device_owner"] == "network:local_ip":
                    continue  # such a port is in each pod that needs it
                assert twin["id"] not in bound
                bound[twin["id"]] = one.pod_id
                tops = [ip["ip_address"] for ip in twin["fixed_ips"]]
                assert sorted(told) == sorted(a for a in tops if not ovn or ":" not in a)
                assert ovn or port["mac_address"] == twin["mac_address"]
                if twin["id"] in inner:
                    assert not port["device_id"]
                elif port["device_owner"] not in GO_ALONG:
                    assert twin["device_id"] == port["device_id"] in self.region.servers
                    same = ("name", "admin_state_up", "allowed_address_pairs", "extra_dhcp_opts")
                    assert [port[name] for name in same] == [twin[name] for name in same]
                    policies = [rows["qos/policies"].get(port.get("qos_policy_id"), {})]
                    assert self.limited(twin) == [row.get("description", "") for row in policies]
                    groups = [rows["security-groups"][id] for id in port["security_groups"]]
                    assert [group["description"][7:] for group in groups] == twin["security_groups"]
                for group in port["security_groups"]:
                    self.assert_group(rows, rows["security-groups"][group])
            needed = {
                port["network_id"]
                for port in rows["ports"].values()
                if port["device_owner"] != "network:distributed" or port["description"]
            }
            self.assert_routers(one, rows)
            for network in rows["networks"].values():
                assert network["id"] in needed
                policies = [rows["qos/policies"].get(network.get("qos_policy_id"), {})]
                top_row = top.rows["networks"][network["description"][7:]]
                assert self.limited(top_row) == [row.get("description", "") for row in policies]
                assert shares(rows, network["id"]) == shares(top.rows, network["description"][7:])
                assert network["name"] == top.rows["networks"][network["description"][7:]]["name"]
        for port in top.rows["ports"].values():
            assert not port["device_id"].startswith("trio2o-made:")
            other = port["device_id"].startswith(("trio2o-g", "trio2o-b", "trio2o-f"))
            other |= "router" in port["device_owner"] or "floatingip" in port["device_owner"]
            if not other and port["id"] not in self.unknown:
                user = top.rows["ports"][inner.get(port["id"], port["id"])]
                assert (port["id"] in bound) == bool(user["device_id"])
        self.assert_trunks(bound)
        self.assert_local(bound)
        self.assert_floats(bound)
        self.assert_proxies(bound)

    def limited(self, row: Any) -> list[str]:
        return [f"trio2o:{row['qos_policy_id']}" if row.get("qos_policy_id") else ""]

    def assert_proxies(self, bound: dict[str, str]) -> None:
        """An NDP proxy is in the pod of the gateway, for the port itself or what stands for it;
        pools and scopes are where there are subnets of them."""
        top = self.region.top.rows
        for one in self.region.all:
            rows = self.region.neutrons[one.pod_id].rows
            told = []
            for row in rows["ndp-proxies"].values():
                port, id = rows["ports"][row["port_id"]], row["name"][7:]
                end = top["ndp-proxies"][id]["port_id"]
                away = bound[end] != one.pod_id
                assert port["description"] == f"trio2o:{id if away else end}"
                assert row["ip_address"] in [ip["ip_address"] for ip in port["fixed_ips"]]
                told.append((id, row["ip_address"]))
            assert sorted(told) == sorted(
                (row["id"], row["ip_address"])
                for row in top["ndp-proxies"].values()
                if row["port_id"] in bound
                and row["ip_address"] in str(top["ports"][row["port_id"]]["fixed_ips"])
                and self.outside[
                    top["routers"][row["router_id"]]["external_gateway_info"]["network_id"]
                ]
                == [one.pod_name]
            )
            pooled = {subnet["subnetpool_id"] for subnet in rows["subnets"].values()} - {None}
            assert pooled == set(rows["subnetpools"])
            scopes = {pool["address_scope_id"] for pool in rows["subnetpools"].values()}
            assert scopes == set(rows["address-scopes"])
            for subnet in rows["subnets"].values():
                twin = top["subnets"][subnet["description"][7:]]
                assert bool(subnet["subnetpool_id"]) == bool(twin["subnetpool_id"])

    def assert_local(self, bound: dict[str, str]) -> None:
        """A local IP is where ports are that have it, each of them there; a label where routers."""
        for one in self.region.all:
            rows = self.region.neutrons[one.pod_id].rows
            name = {id: port["description"][7:] for id, port in rows["ports"].items()}
            told = {
                (row["description"][7:], name[row["local_port_id"]], name[end["fixed_port_id"]])
                for row in rows["local_ips"].values()
                for end in row["port_associations"]
            }
            wanted = {
                (row["id"], row["local_port_id"], end["fixed_port_id"])
                for row in self.region.top.rows["local_ips"].values()
                for end in row["port_associations"]
                if bound.get(end["fixed_port_id"]) == one.pod_id
            }
            assert told == wanted
            assert len({id for id, _, _ in wanted}) == len(rows["local_ips"])
            labels = [
                row["metering_label_rules"] for row in rows["metering/metering-labels"].values()
            ]
            assert [len(rules) for rules in labels] == [1] * bool(rows["routers"])

    def assert_trunks(self, bound: dict[str, str]) -> None:
        """A trunk is in the pod of its parent port, with the subports that it has."""
        told = []
        for one in self.region.all:
            rows = self.region.neutrons[one.pod_id].rows
            for trunk in rows["trunks"].values():
                name = {id: row["description"][7:] for id, row in rows["ports"].items()}
                subs = {(name[s["port_id"]], s["segmentation_id"]) for s in trunk["sub_ports"]}
                told.append((one.pod_id, trunk["description"][7:], name[trunk["port_id"]], subs))
        wanted = [
            (
                bound[trunk["port_id"]],
                trunk["id"],
                trunk["port_id"],
                {(s["port_id"], s["segmentation_id"]) for s in trunk["sub_ports"]},
            )
            for trunk in self.region.top.rows["trunks"].values()
            if trunk["port_id"] in bound
        ]
        assert sorted(told, key=str) == sorted(wanted, key=str)

    def assert_floats(self, bound: dict[str, str]) -> None:
        """Each floating IP of a server leads to its port from the pod of its network, there or over
        the bridge; and there are no others."""
        rows = {one.pod_id: self.region.neutrons[one.pod_id].rows for one in self.region.all}
        below = {id: list(some["floatingips"].values()) for id, some in rows.items()}
        held = 0
        for row in self.region.top.rows["floatingips"].values():
            where = bound.get(row["port_id"] or "")
            if where is None:
                continue
            (name,) = self.outside[row["floating_network_id"]]
            (home,) = [one.pod_id for one in self.region.all if one.pod_name == name]
            (one,) = [f for f in below[home] if f["description"] == f"trio2o:{row['id']}"]
            below[home].remove(one)
            assert one["floating_ip_address"] == row["floating_ip_address"]
            policy = rows[home]["qos/policies"].get(one.get("qos_policy_id"), {})
            assert policy.get("description") == (row["qos_policy_id"] and f"trio2o:{self.policy}")
            if home != where:
                held += 1
                hop = rows[home]["ports"][one["port_id"]]
                middle = [ip["ip_address"] for ip in hop["fixed_ips"]]
                assert middle == [one["fixed_ip_address"]]
                (one,) = [f for f in below[where] if f["description"] == hop["description"]]
                below[where].remove(one)
                assert middle == [one["floating_ip_address"]]
            port = rows[where]["ports"][one["port_id"]]
            assert port["description"] == f"trio2o:{row['port_id']}"
            assert one["fixed_ip_address"] == row["fixed_ip_address"]
        held += self.assert_forwards(bound, rows, below)
        assert not any(below.values())
        ports = self.region.top.rows["ports"].values()
        assert len([p for p in ports if "trio2o-f" in p["device_id"]]) == held

    def assert_forwards(self, bound: dict[str, str], rows: Any, below: Any) -> int:
        """Each port that a floating IP forwards to a server leads there, likewise; how many hops
        over bridges there are, one for each pod. What was looked at is taken from `below`."""
        hops = set()
        for row in self.region.top.rows["floatingips"].values():
            held = [p for p in self.region.top.rows["ports"].values() if p["device_id"] and
                    p["device_id"] == row["router_id"]]  # fmt: skip
            ways = [
                way for way in row["port_forwardings"] if way["internal_port_id"] in bound
                and any(self.region.top._near(port, way["internal_ip_address"]) for port in held)
            ]  # fmt: skip
            if not ways:
                continue
            (name,) = self.outside[row["floating_network_id"]]
            (home,) = [one.pod_id for one in self.region.all if one.pod_name == name]
            (one,) = [f for f in below[home] if f["description"] == f"trio2o:{row['id']}"]
            below[home].remove(one)
            assert len(one["port_forwardings"]) == len(ways)
            for way in ways:
                where, outside = bound[way["internal_port_id"]], way["external_port"]
                (step,) = [s for s in one["port_forwardings"] if s["external_port"] == outside]
                if home != where:
                    hop = rows[home]["ports"][step["internal_port_id"]]
                    assert step["internal_port"] == outside
                    assert step["internal_ip_address"] == hop["fixed_ips"][0]["ip_address"]
                    far = rows[where]["floatingips"].values()
                    (two,) = [f for f in far if f["description"] == hop["description"]]
                    assert two["floating_ip_address"] == step["internal_ip_address"]
                    below[where] = [f for f in below[where] if f is not two]
                    (step,) = [s for s in two["port_forwardings"] if s["external_port"] == outside]
                    hops.add(two["id"])
                port = rows[where]["ports"][step["internal_port_id"]]
                assert port["description"] == f"trio2o:{way['internal_port_id']}"
                for same in ("internal_port", "internal_ip_address", "protocol"):
                    assert step[same] == way[same]
        return len(hops)

    def assert_routers(self, pod: Pod, rows: dict[str, Any]) -> None:
        """A router is where a network of it is, and leads to all of its networks elsewhere."""
        top = self.region.top.rows
        for id in top["routers"]:
            ports = [p for p in top["ports"].values() if p["device_id"] == id]
            joined = [p for p in ports if p["device_owner"] == "network:router_interface"]
            gate = [p["network_id"] for p in ports if "gateway" in p["device_owner"]]
            home = self.outside[gate[0]] == [pod.pod_name] if gate else False
            cidrs: dict[str, set[str]] = {}
            for port in joined:
                (ip,) = port["fixed_ips"]
                cidr = top["subnets"][ip["subnet_id"]]["cidr"]
                cidrs.setdefault(port["network_id"], set()).add(cidr)
            six = any(":" in cidr for some in cidrs.values() for cidr in some)
            there = [self.networks_in(one) & set(cidrs) for one in self.region.all]
            here = self.networks_in(pod) & set(cidrs)
            mine = [r for r in rows["routers"].values() if r["description"] == f"trio2o:{id}"]
            assert len(mine) == bool(here or (home and any(there)))
            scoped = {top["subnets"][p["fixed_ips"][0]["subnet_id"]]["cidr"]: p["network_id"]
                for p in joined
                if top["subnets"][p["fixed_ips"][0]["subnet_id"]]["subnetpool_id"]}  # fmt: skip
            for router in mine:
                if here & set(scoped.values()):  # no bridge is in their scope
                    ways = [r["nexthop"] for r in router["routes"] if r["destination"] in scoped]
                    assert not any(way.startswith("fd00") for way in ways)
                helpers = [says(one) for one in router["conntrack_helpers"]]
                assert helpers == [says(one) for one in top["routers"][id]["conntrack_helpers"]]
                elsewhere = set().union(*there) - here
                held = [p for p in rows["ports"].values() if p["device_id"] == router["id"]]
                near = [rows["subnets"][ip["subnet_id"]] for p in held for ip in p["fixed_ips"]]
                own = {
                    route["destination"]
                    for route in top["routers"][id]["routes"]
                    if any(ip_address(route["nexthop"]) in ip_network(s["cidr"]) for s in near)
                }
                told = {route["destination"] for route in router["routes"]} - own
                assert len(told) + len(own) == len(router["routes"])
                halves = {"0.0.0.0/1", "128.0.0.0/1"} | ({"::/1", "8000::/1"} if six else set())
                out = halves if gate and not home else set()
                assert told == {cidr for network in elsewhere for cidr in cidrs[network]} | out

    def networks_in(self, pod: Pod) -> set[str]:
        rows = self.region.neutrons[pod.pod_id].rows["networks"].values()
        return {row["description"][7:] for row in rows}

    def assert_group(self, rows: dict[str, Any], group: dict[str, Any]) -> None:
        top = self.region.top
        twin = group["description"][7:]
        said = {
            (
                r["direction"],
                r["ethertype"],
                r["port_range_min"],
                self.members(r["remote_group_id"]),
            )
            for r in top.rows["security-group-rules"].values()
            if r["security_group_id"] == twin
        }
        lists = {id: tuple(sorted(r["addresses"])) for id, r in rows["address-groups"].items()}
        found = {
            (
                r["direction"],
                r["ethertype"],
                r["port_range_min"],
                lists[r["remote_address_group_id"]] if r["remote_address_group_id"] else None,
            )
            for r in rows["security-group-rules"].values()
            if r["security_group_id"] == group["id"]
        }
        assert found == said

    def members(self, group: str | None) -> tuple[str, ...] | None:
        if group is None:
            return None
        ports = self.region.top.rows["ports"].values()
        mine = [p for p in ports if group in p["security_groups"]]
        ips = [ip for p in mine for ip in (*p["fixed_ips"], *p["allowed_address_pairs"])]
        return tuple(sorted({str(ip_network(ip["ip_address"])) for ip in ips}))


def shares(rows: dict[str, Any], network_id: str) -> list[str]:
    """Who else may use a network."""
    mine = [row for row in rows["rbac-policies"].values() if row["object_id"] == network_id]
    return sorted(row["target_tenant"] for row in mine)


TestConvergence: Callable[[], Any] = Convergence.TestCase
TestConvergence.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)  # type: ignore[attr-defined]


def test_an_ndp_proxy_whose_port_lost_the_address_leaves_its_pod_and_stops_no_pass() -> None:
    for seed in (1, 2):
        state = Convergence()
        state.begin(seed, 2)
        top = state.region.top.rows
        (proxy,) = top["ndp-proxies"].values()
        assert any(one.rows["ndp-proxies"] for one in state.region.neutrons.values())
        port = top["ports"][proxy["port_id"]]
        port["fixed_ips"] = [ip for ip in port["fixed_ips"] if ":" not in ip["ip_address"]]
        state.teardown()
        pods = [state.region.neutrons[pod.pod_id] for pod in state.region.all]
        assert not any(one.rows["ndp-proxies"] for one in pods)


def test_a_port_that_a_stranger_deletes_before_a_pass_saw_it_in_use_is_freed() -> None:
    state = Convergence()
    state.begin(1)
    neutron = state.region.neutrons[state.region.all[0].pod_id]
    (port,) = [p for p in neutron.rows["ports"].values() if p["device_id"] in state.used]
    top = state.used.pop(port["device_id"])
    neutron.delete("ports", port["id"])
    state.teardown()
    assert top not in state.region.top.rows["ports"]


def test_a_port_that_is_forwarded_to_may_get_a_floating_ip_of_its_own_and_a_pod_makes_both() -> (
    None
):
    """Neutron takes them in this order only, and a pod that lost them is to make both again."""
    for seed in (1, 2):
        state = Convergence()
        state.begin(seed, 8)
        state.float(0, seed % 2, True)
        rows = state.region.top.rows["floatingips"].values()
        forwarded = {w["internal_port_id"] for row in rows for w in row["port_forwardings"]}
        assert forwarded & {row["port_id"] for row in rows}
        neutron = state.region.neutrons[state.region.all[seed % 2].pod_id]
        for row in list(neutron.rows["floatingips"].values()):
            row["port_forwardings"] = []
        state.teardown()


def test_a_port_that_was_made_again_for_a_server_that_does_not_use_it_is_freed() -> None:
    """Its server is past being built; one that is being built may come to use it."""
    state = Convergence()
    state.begin(1)
    neutron = state.region.neutrons[state.region.all[0].pod_id]
    (port,) = [p for p in neutron.rows["ports"].values() if p["device_id"] in state.used]
    top = state.used.pop(port["device_id"])
    port |= {"device_id": "", "device_owner": ""}
    state.clock.advance(1000)
    state.region.status = "BUILD"
    result_of(NetworkPass(state.ours).run())
    assert top in state.region.top.rows["ports"]
    state.region.status = "ERROR"
    state.teardown()
    assert top not in state.region.top.rows["ports"]


def test_ports_that_a_pod_made_for_servers_are_taken_up_though_the_store_was_lost_meanwhile() -> (
    None
):
    state = Convergence()
    network = state.begin(1)
    before = set(state.region.servers)
    state.boot_two(network, 0, "", 0, True)
    state.lose_the_store()
    state.teardown()
    held = {port["device_id"] for port in state.region.top.rows["ports"].values()}
    assert len(state.region.servers - before) == 2 and state.region.servers <= held


def test_servers_are_not_asked_for_at_once_of_a_pod_that_cannot_be_given_addresses() -> None:
    state = Convergence()
    network = state.begin(1)
    before = set(state.region.servers)
    state.fail_pod(0, False)
    state.boot_two(network, 0, "", 0, True)
    assert state.region.servers == before
    devices = [port["device_id"] for port in state.region.top.rows["ports"].values()]
    assert not any(device.startswith(MADE) for device in devices)


def test_ports_that_a_pod_made_are_taken_up_where_all_addresses_follow_from_macs() -> None:
    state = Convergence()
    state.begin(1)
    top = state.region.top
    network = top.create("networks", {"project_id": "p1", "provider:segmentation_id": 99})["id"]
    slaac = {"cidr": "2001:db8:99::/64", "ip_version": 6, "gateway_ip": "2001:db8:99::1"}
    slaac |= {"ipv6_ra_mode": "slaac", "ipv6_address_mode": "slaac", "network_id": network}
    top.create("subnets", slaac | {"project_id": "p1"})
    before = set(state.region.servers)
    state.boot_two(network, 0, "", 0, True)
    state.teardown()
    made = [
        p for p in top.rows["ports"].values() if p["device_id"] in state.region.servers - before
    ]
    assert len(made) == 2 and all(len(port["fixed_ips"]) == 1 for port in made)


def test_what_a_router_forwards_to_a_subnet_leaves_the_pods_with_the_subnets_interface() -> None:
    """Neutron refuses neither the forwarding's end nor that of the way there."""
    state = Convergence()
    state.begin(1, 6)
    top, pods = state.region.top, [state.region.neutrons[pod.pod_id] for pod in state.region.all]
    (router,) = top.rows["routers"].values()
    assert any(row["port_forwardings"] for pod in pods for row in pod.rows["floatingips"].values())
    for port in list(top.rows["ports"].values()):
        if port["device_owner"] == "network:router_interface":
            top._interface(router, "remove_router_interface", port["id"])
    state.teardown()
    assert not any(pod.rows["floatingips"] or pod.rows["routers"] for pod in pods)


def test_a_lease_takes_up_no_port_that_is_still_another_ones() -> None:
    """A port's new address was not brought to its pod, and its old one is leased."""
    state = Convergence()
    network = state.begin(1)
    top = state.region.top.rows["ports"]
    neutron = state.region.neutrons[state.region.all[0].pod_id]
    (bottom,) = [p for p in neutron.rows["ports"].values() if p["device_id"] in state.used]
    port = top[bottom["description"][7:]]
    (old,) = port["fixed_ips"]
    new = old["ip_address"].rpartition(".")[0] + ".20"
    state.region.top._change("ports", port, {"fixed_ips": [old | {"ip_address": new}]})
    state.boot_two(network, 0, "", 0, True)
    assert old in [ip for one in top.values() for ip in one["fixed_ips"]]
    state.teardown()
    assert port["device_id"] == bottom["device_id"]


def test_what_a_pod_does_not_let_go_keeps_no_servers_from_being_asked_for_at_once() -> None:
    state = Convergence()
    network = state.begin(1)
    state.make_subnet(network, False, False)
    neutron, top = state.region.neutrons[state.region.all[0].pod_id], state.region.top
    (old,) = [s for s in neutron.rows["subnets"].values() if ".1.0/" in s["cidr"]]
    fixed = [{"subnet_id": old["id"], "ip_address": old["cidr"].replace("0/27", "9")}]
    neutron.create("ports", {"network_id": old["network_id"], "fixed_ips": fixed})
    top.delete("subnets", old["description"][7:])
    before = len(state.region.servers)
    state.boot_two(network, 0, "", 0, True)
    assert old["id"] in neutron.rows["subnets"]
    assert len(state.region.servers) == before + 2
