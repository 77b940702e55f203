"""What one pass over networks costs: `python -m tests.bench.networks [PODS NETWORKS PORTS]`.

Neutrons in memory stand for the pods; their own work (filtering, JSON) is measured apart.
"""

from __future__ import annotations

import resource
import sys
import time
import uuid
from pathlib import Path
from typing import Any

sys.path[:0] = [
    str(Path(__file__).parents[1] / "unit"),
    str(Path(__file__).parents[1] / "unit" / "networks"),
]

from helpers import result_of  # noqa: E402
from neutrons import DEFAULTS, Neutron, Region, Store  # noqa: E402
from twisted.internet.task import Clock  # noqa: E402

from trio2o.domain.values import Attachment  # noqa: E402
from trio2o.networks import NetworkPass, Networks, settle_router  # noqa: E402
from trio2o.networks._apply import resolved  # noqa: E402
from trio2o.networks._desired import Place, Top, desired  # noqa: E402
from trio2o.settings import NetworkSettings  # noqa: E402
from trio2o.store import networks as rows  # noqa: E402


class Timed(Region):
    """Counts the calls, and the seconds that the Neutrons themselves take."""

    calls = 0
    inside = 0.0

    async def send(self, *given: Any, **more: Any) -> Any:
        begun = time.perf_counter()
        self.calls += 1
        said = await super().send(*given, **more)
        self.inside += time.perf_counter() - begun
        return said


def filled(region: Region, store: Store, pods: int, networks: int, ports: int) -> None:
    """The top with networks in all pods and servers over them, and the pods as they should be."""
    top, attached, homes = region.top, [], {}
    for number in range(networks):
        project = f"p{number % 100}"
        body = {"name": "n", "project_id": project, "provider:segmentation_id": number + 1}
        network = _put(top, "networks", body | {"provider:network_type": "vlan"})
        prefix = f"10.{number // 256}.{number % 256}"
        body = {"network_id": network, "project_id": project, "cidr": f"{prefix}.0/24"}
        subnet = _put(top, "subnets", body | {"gateway_ip": f"{prefix}.1"})
        homes[subnet] = region.all[0].pod_id
        held = [(f"trio2o-dhcp:{one.pod_name}", "network:dhcp") for one in region.all]
        held += [(f"trio2o-gateway:{one.pod_name}", "network:dhcp") for one in region.all[1:]]
        held += [(f"s{number}-{n}", "compute:az") for n in range(ports // networks)]
        for last, (device, owner) in enumerate(held, 2):
            fixed = [{"subnet_id": subnet, "ip_address": f"{prefix}.{last}"}]
            body = {"network_id": network, "project_id": project, "fixed_ips": fixed}
            body |= {"device_id": device, "device_owner": owner, "mac_address": f"fa:{last}"}
            port = _put(top, "ports", body | {"security_groups": []})
            if owner == "compute:az":
                pod = region.all[last % pods]
                attached.append(Attachment(port, pod.pod_id, device, "", True, "bound", 0.0))
    result_of(store.write(lambda c: rows.put_attachments(c, attached)))
    for one in region.all:
        result_of(
            store.write(
                lambda c, one=one: rows.take_homes(c, list(homes), homes[next(iter(homes))])
            )
        )
    read = top.rows
    known = Top(read["networks"], read["subnets"], read["ports"])
    for pod in region.all:
        ids: dict[Any, str] = {}
        neutron = region.neutrons[pod.pod_id]
        for key, wanted in desired(Place(pod), known, attached, homes).items():
            body = resolved(wanted.body, ids, pod) | {"project_id": wanted.project_id}
            if wanted.kind.path == "ports" and not body.get("device_id"):
                body["device_id"] = read["ports"][wanted.id]["device_id"]
            ids[key] = _put(
                neutron, wanted.kind.path, body | {"description": f"trio2o:{wanted.id}"}
            )


def _put(neutron: Neutron, kind: str, body: dict[str, Any]) -> str:
    id = str(uuid.uuid4())
    neutron.rows[kind][id] = {"id": id, "description": ""} | DEFAULTS[kind] | body
    return id


def main(pods: int = 10, networks: int = 1000, ports: int = 10_000) -> None:
    region, store, clock = Timed(pods), Store(), Clock()
    clock.advance(1_800_000_000)

    async def token(project_id: str = "") -> str:
        return "token"

    given: Any = (
        clock,
        clock.seconds,
        store,
        region,
        token,
        NetworkSettings(mode="stretched"),
        settle_router,
    )
    filled(region, store, pods, networks, ports)
    for what in ("first pass", "second pass"):
        region.calls, region.inside, region.writes = 0, 0.0, []
        begun, used = time.perf_counter(), time.process_time()
        counted = result_of(NetworkPass(Networks(*given)).run())
        took, cpu = time.perf_counter() - begun, time.process_time() - used
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(
            f"{what}: {took:.1f} s ({cpu:.1f} s of CPU), {region.inside:.1f} s in the Neutrons; "
            f"{region.calls} calls, {len(region.writes)} of them changes; looked at "
            f"{counted.looked}, drift {counted.drift}, failed {counted.failed}; peak {peak} MiB"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
