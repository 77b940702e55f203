"""The image, the flavors, and whether a pod's workers are there to serve a request."""

from datetime import UTC, datetime

from . import processes, topology, waiting
from .identity import Api

IMAGE = "cirros"
WORKERS = {
    "nova": {"nova-conductor", "nova-scheduler", "nova-compute"},
    "cinder": {"cinder-scheduler", "cinder-volume", "cinder-backup"},
}


def image(api: Api) -> None:
    """A mebibyte of zeros: the hypervisors are fake."""
    url = f"{topology.GLANCE_URL}/v2/images"
    found = api.get(url, params={"name": IMAGE}).json()["images"]
    if any(one["status"] == "active" for one in found):
        return
    body = {"name": IMAGE, "disk_format": "raw", "container_format": "bare"}
    made = api.post(url, json=body | {"visibility": "public"}).json()
    binary = {"Content-Type": "application/octet-stream"}
    api.put(f"{url}/{made['id']}/file", data=bytes(1 << 20), headers=binary)


def flavors(api: Api, number: int) -> None:
    url = topology.pod_url(number, "nova") + "/v2.1/flavors"
    present = {flavor["name"] for flavor in api.get(url).json()["flavors"]}
    for position, (name, ram, vcpus, disk) in enumerate(topology.FLAVORS, 1):
        if name not in present:
            body = {"id": str(position), "name": name, "ram": ram, "vcpus": vcpus, "disk": disk}
            api.post(url, json={"flavor": body})


def await_workers(api: Api, number: int) -> None:
    pod = f"pod{number}"
    nova = topology.pod_url(number, "nova") + "/v2.1"
    cinder = f"{topology.pod_url(number, 'cinder')}/v3/{api.project_id}"
    for service, url in (("nova", nova), ("cinder", cinder)):
        waiting.until(
            f"{pod}: workers of {service}",
            lambda url=url, service=service: WORKERS[service] <= _alive(api, url, pod),
        )
    # Only a host that its cell knows is listed here.
    waiting.until(
        f"{pod}: hypervisor", lambda: api.get(f"{nova}/os-hypervisors").json()["hypervisors"]
    )


def _alive(api: Api, url: str, pod: str) -> set[str]:
    """Workers heard from since they were started or woken.

    That a service is 'up' is not enough: it is for a minute after its process ended.
    """
    return {
        service["binary"]
        for service in api.get(f"{url}/os-services").json()["services"]
        if service["state"] == "up"
        and service["updated_at"]
        and _seconds(service["updated_at"]) > processes.started_at(f"{pod}-{service['binary']}")
    }


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
