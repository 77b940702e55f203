"""Neutron of a pod and of the region Central.

Central hands out segments that the appliance then asks the pods for by number, so no pod may
hand out one of these to a network of its own.
"""

from pathlib import Path

from .. import settings, topology
from . import ini

CENTRAL_RANGES = {"vlan": "bridge:101:1000,extern", "vxlan": "10001:20000"}
POD_RANGES = {"vlan": "bridge:2001:3000,extern:3001:4000", "vxlan": "1001:5000"}
OVN_EXTENSIONS = "ovn-router,trunk,qos,port_forwarding,segments"
EXTENSIONS = "router,trunk,qos,port_forwarding,metering,conntrack_helper,local_ip,ndp_proxy"
DNS_DOMAIN = "lab.test."


def central(folder: Path) -> None:
    # A VLAN is the same in all pods if the wire between them carries it; a VXLAN joins nothing.
    _write(folder, topology.CENTRAL, "central", "openvswitch", CENTRAL_RANGES, "vlan")


def pod(folder: Path, number: int) -> None:
    # The stock driver binds nothing without agents, but `trunk` loads only beside it.
    region = topology.pod_region(number)
    if settings.is_ovn(number):
        ranges = POD_RANGES | {"geneve": POD_RANGES["vxlan"]}
        _write(folder, region, f"pod{number}", "ovn", ranges, "geneve", number)
    else:
        _write(folder, region, f"pod{number}", "openvswitch,lab", POD_RANGES, "vxlan")


def _write(
    folder: Path,
    region: str,
    vhost: str,
    drivers: str,
    ranges: dict[str, str],
    tenants: str,
    ovn: int = 0,
) -> None:
    state = ini.state_folder(f"{vhost}-neutron")
    sections = ini.bus_service(f"{vhost}-net", vhost, region, state)
    tells_nova = region != topology.CENTRAL
    sections["DEFAULT"] |= {
        "core_plugin": "ml2",
        "service_plugins": OVN_EXTENSIONS if ovn else EXTENSIONS,
        "dns_domain": DNS_DOMAIN,  # with the default one Neutron takes no names of ports
        "api_paste_config": settings.VENV / "etc" / "neutron" / "api-paste.ini",
        "rpc_workers": 1,
        "rpc_state_report_workers": 0,
        "notify_nova_on_port_status_changes": tells_nova,
        "notify_nova_on_port_data_changes": tells_nova,
    }
    sections |= {
        "database": ini.database(f"{vhost}_neutron"),
        "nova": ini.service_account(region),
        "placement": ini.service_account(region),
        "ml2": {
            "type_drivers": f"local,flat,vlan,{'geneve' if ovn else 'vxlan'}",
            "tenant_network_types": tenants,
            "mechanism_drivers": drivers,
            "extension_drivers": "port_security,qos,dns_domain_ports",
        },
        "ml2_type_flat": {"flat_networks": "*"},
        "ml2_type_vlan": {"network_vlan_ranges": ranges["vlan"]},
        "ml2_type_vxlan": {"vni_ranges": ranges["vxlan"]},
        "securitygroup": {"enable_security_group": True},
    }
    if ovn:
        sections["ml2_type_geneve"] = {"vni_ranges": ranges["geneve"], "max_header_size": 38}
        north, south = (topology.ovn_database(ovn, side) for side in ("north", "south"))
        sections["ovn"] = {
            "ovn_nb_connection": north,
            "ovn_sb_connection": south,
            "ovn_metadata_enabled": True,
        }
    ini.write(folder / "neutron.conf", sections)
    # The API reads this file too, whether or not there is anything to say.
    ini.write(folder / "plugins" / "ml2" / "ml2_conf.ini", {})
