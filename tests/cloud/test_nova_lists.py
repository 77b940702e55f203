"""Lists of servers: those of a project that is all in one pod are that pod's own, word for word;
those of one over several pods are the pods' own lists, merged."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from attrs import define
from tenants import Project, RealAppliance, admin_cloud, eventually, unlike

POD1, POD2 = "http://127.0.0.1:11774", "http://127.0.0.1:12774"
NAMES = ["web_1", "Web1", "weba", "Éclair", "db"]
VERSIONS = ["2.1", "2.16", "2.47", "2.69", "2.73", "2.96", "2.100", "latest"]
SORTED_BY = """access_ip_v4 auto_disk_config availability_zone config_drive created_at
    display_description display_name hostname image_ref instance_type_id kernel_id key_name
    launch_index launched_at locked_by power_state progress project_id ramdisk_id root_device_name
    task_state terminated_at updated_at user_id uuid vm_state""".split()  # noqa: SIM905

QUERIES = [
    "",
    "limit=0",
    "limit=2",
    "limit=5000",
    "limit=99999999999999999999",
    "limit=",
    "limit=-1",
    "limit=1.5",
    "limit=two",
    "marker=",
    "marker=nonsense",
    "marker=6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55",
    "marker={deleted}",
    "marker={deleted}&limit=1",
    "marker={foreign}",
    "marker={first}&marker={last}",
    "marker={first}&sort_key=display_name&sort_dir=asc",
    "marker={deleted}&sort_key=display_name&sort_dir=asc",
    "offset=2",
    "sort_key=nonsense",
    "sort_key=host",
    "sort_key=vcpus",
    "sort_key=vcpus&sort_dir=asc",
    "sort_key=memory_mb&sort_key=display_name&sort_dir=asc",
    "sort_key=locked&sort_dir=asc",
    "sort_dir=up",
    "sort_dir=asc",
    "sort_dir=asc&sort_dir=desc",
    "sort_dir=asc&sort_dir=desc&sort_dir=desc",
    "sort_key=vm_state&sort_key=display_name&sort_dir=desc",
    "sort_key=vm_state&sort_key=display_name",
    "sort_key=vm_state&sort_key=display_name&sort_key=uuid&sort_dir=asc&sort_dir=desc",
    "sort_key=display_name&sort_dir=asc&sort_dir=asc&sort_dir=asc",
    "name=web",
    "name=%5Eweb_",
    "name=nothing",
    "name=%5B",
    "display_name=db",
    "status=ACTIVE",
    "status=shutoff",
    "status=ACTIVE&status=SHUTOFF",
    "status=DELETED",
    "status=nonsense",
    "status=",
    "vm_state=stopped",
    "power_state=4",
    "flavor=1",
    "flavor=nonsense",
    "image={image}",
    "image=nonsense",
    "ip=10.",
    "key_name=none",
    "reservation_id=r-none",
    "availability_zone=az1",
    "changes-since={then}",
    "changes-since=2100-01-01T00:00:00Z",
    "changes-since=yesterday",
    "changes-since={then}&changes-before=2100-01-01T00:00:00Z",
    "changes-since={then}&limit=2",
    "changes-since={then}&status=DELETED",
    "changes-before={then}",
    "changes-since=2100-01-01T00:00:00Z&changes-before={then}",
    "deleted=true",
    "all_tenants=1",
    "all_tenants=0",
    "all_tenants=nonsense",
    "all_tenants=",
    "project_id={project}",
    "tenant_id=another",
    "tags=blue",
    "not-tags=blue",
    "tags-any=blue,red",
    "locked=true",
    "locked=nonsense",
    "host=pod1-node1",
    "metadata=%7B%22a%22%3A%20%221%22%7D",
    "nonsense=1",
    "_private=1",
    "user_id=nobody",
    "description=first",
]
ADMINS = [
    "all_tenants=1&project_id={project}",
    "all_tenants=1&project_id={project}&limit=2",
    "all_tenants=1&project_id={project}&deleted=true",
    "all_tenants=1&project_id={project}&status=DELETED",
    "all_tenants=1&project_id={project}&sort_key=host&sort_key=display_name&sort_dir=asc",
    "all_tenants=1&project_id={project}&sort_key=node",
    "all_tenants=1&project_id={project}&sort_key=hostname&sort_dir=asc",
    "all_tenants=1&project_id={project}&host=pod1-node1",
    "all_tenants=1&project_id={project}&host=nowhere",
    "all_tenants=1&tenant_id={project}&marker={first}",
    "all_tenants=1&project_id={project}&vm_state=stopped",
    "all_tenants=nonsense",
]


@define
class Listed:
    """A project with servers, and the words that queries are filled in with."""

    project: Project
    words: dict[str, str]
    admin: str

    def ask(self, base: str, path: str, version: str, token: str = "") -> requests.Response:
        headers = {"X-Auth-Token": token or self.project.token}
        headers["OpenStack-API-Version"] = f"compute {version}"
        return requests.get(base + path, headers=headers, timeout=60)

    def told(self, base: str, path: str, version: str, token: str = "") -> Any:
        """Status, version and body, without what differs by where it was asked."""
        answer = self.ask(base, path, version, token)
        text = answer.text.replace(base, "").replace("//127.0.0.1", "")
        document = json.loads(text)
        for row in document.get("servers") or []:
            if isinstance(row, dict):
                for key in ("OS-EXT-AZ:availability_zone", "pinned_availability_zone"):
                    row.update({key: "az1"} if row.get(key) == "nova" else {})
        return answer.status_code, answer.headers.get("OpenStack-API-Version"), document

    @property
    def ours(self) -> str:
        return self.project.appliance.url("compute")


def boot(project: Project, zone: str, name: str, **more: Any) -> str:
    made = project.tenant.compute.create_server(
        name=name,
        image_id=project.image,
        flavor_id="1",
        availability_zone=zone,
        networks="none",
        **more,
    )
    return str(made.id)


def settled(project: Project, count: int) -> list[Any]:
    def rest() -> Any:
        rows = list(project.tenant.compute.servers())
        at_rest = all(row.status in ("ACTIVE", "SHUTOFF") and not row.task_state for row in rows)
        return rows if len(rows) == count and at_rest else None

    return list(eventually(rest, 180))


@pytest.fixture
def listed(project: Project, appliance: RealAppliance) -> Iterator[Listed]:
    """Servers in Pod1 alone: one is stopped, one locked, one has tags, one was deleted."""
    compute = project.tenant.compute
    ids = [
        boot(project, "az1", name, metadata={"a": "1"} if name == "db" else {}) for name in NAMES
    ]
    deleted = boot(project, "az1", "gone")
    settled(project, len(NAMES) + 1)
    compute.delete_server(deleted)
    compute.stop_server(ids[0])
    compute.lock_server(ids[1])
    compute.add_tag_to_server(compute.get_server(ids[2]), "blue")
    compute.update_server(ids[3], description="first", access_ipv4="192.0.2.7")
    rows = settled(project, len(NAMES))
    admin = admin_cloud("Pod1")
    body = {"name": "foreign", "imageRef": project.image, "flavorRef": "1", "networks": "none"}
    foreign = admin.compute.post("/servers", json={"server": body}, microversion="2.37")
    words = {
        "deleted": deleted,
        "first": rows[0].id,
        "last": rows[-1].id,
        "foreign": foreign.json()["server"]["id"],
        "image": project.image,
        "project": project.id,
        "then": min(row.created_at for row in rows),
    }
    yield Listed(project, words, admin.auth_token)
    admin.compute.delete_server(words["foreign"])
    compute.unlock_server(ids[1])


def test_a_list_of_servers_in_one_pod_is_that_pods_own(listed: Listed):
    cases = [
        (f"/v2.1/servers{detail}?{query}", version, "")
        for query in QUERIES
        for detail, version in (("", "2.1"), ("/detail", "latest"))
    ]
    cases += [(f"/v2.1/servers/detail?{q}", "2.66", "") for q in QUERIES if "changes" in q]
    cases += [("/v2.1/servers/detail", version, "") for version in VERSIONS]
    cases += [("/v2.1/servers", version, "") for version in VERSIONS]
    cases += [(f"/v2.1/servers/detail?limit=1&{q}", "2.73", "") for q in ("locked=1", "name=e")]
    cases += [(f"/v2.1/servers/detail?{q}", v, listed.admin) for q in ADMINS for v in VERSIONS[::4]]
    cases += [
        (f"/v2.1/servers/detail?sort_key={key}&limit=3{direction}", "2.90", "")
        for key, direction in zip(SORTED_BY, ("", "&sort_dir=asc") * len(SORTED_BY), strict=False)
    ]
    different = []
    for path, version, token in cases:
        path = path.format(**listed.words)
        # a pod's own zone is asked for by its own name there
        there = path.replace("availability_zone=az1", "availability_zone=nova")
        ours = listed.told(listed.ours, path, version, token)
        theirs = listed.told(POD1, there, version, token)
        if "availability_zone=" in path:
            ours, theirs = (
                (*one[:2], [row["id"] for row in one[2]["servers"]]) for one in (ours, theirs)
            )
        if found := unlike(ours, theirs):
            different.append(f"{path} at {version}{' as admin' * bool(token)}: {found}")
    assert not different, "\n".join(different)


def test_pages_of_servers_in_one_pod_are_that_pods_own_to_the_end(listed: Listed):
    for query in ("limit=2", "limit=2&sort_key=display_name&sort_dir=asc", "limit=1&status=ACTIVE"):
        path = f"/v2.1/servers?{query}"
        for _ in range(len(NAMES) + 1):
            ours, theirs = listed.told(listed.ours, path, "2.1"), listed.told(POD1, path, "2.1")
            assert unlike(ours, theirs) == ""
            if not ours[2].get("servers_links"):
                break
            path = ours[2]["servers_links"][0]["href"]
        else:
            raise AssertionError("the list has no end")


def folded(value: Any) -> tuple[int, Any]:
    if not isinstance(value, str):
        return (0, 0) if value is None else (1, value)
    plain = unicodedata.normalize("NFD", value)
    return (1, "".join(c for c in plain if not unicodedata.combining(c)).upper())


MEMBERS = {
    "created_at": "created",
    "display_name": "name",
    "uuid": "id",
    "power_state": "OS-EXT-STS:power_state",
    "launched_at": "OS-SRV-USG:launched_at",
    "vm_state": "OS-EXT-STS:vm_state",
    "key_name": "key_name",
    "user_id": "user_id",
    "image_ref": "image",
    "hostname": "",
    "instance_type_id": "",
}


def test_a_list_over_pods_is_the_pods_lists_merged(project: Project, appliance: RealAppliance):
    for place, name in enumerate([*NAMES, "Zoë", "zoe"]):
        boot(project, ("az1", "az2")[place % 2], name)
    stopped = boot(project, "az2", "stopped")
    settled(project, 8)
    project.tenant.compute.stop_server(stopped)
    settled(project, 8)
    listed = Listed(project, {}, "")
    for key, member in MEMBERS.items():
        for direction in ("asc", "desc"):
            for filters in ("", "status=ACTIVE", "name=e"):
                query = f"sort_key={key}&sort_dir={direction}&{filters}"
                path = f"/v2.1/servers/detail?{query}"
                pods = [listed.ask(base, path, "2.60").json()["servers"] for base in (POD1, POD2)]
                expected = [row for rows in pods for row in rows]
                if member:
                    expected.sort(key=lambda row: row["id"], reverse=key == "uuid")
                    expected.sort(
                        key=lambda row, m=member: folded(row[m]["id"] if m == "image" else row[m]),
                        reverse=direction == "desc",
                    )
                    if key == "uuid":
                        expected.sort(key=lambda row: row["id"], reverse=direction == "desc")
                whole = [row["id"] for row in expected]
                found = listed.ask(listed.ours, path, "2.60").json()["servers"]
                assert [row["id"] for row in found] == whole, query
                if not filters:
                    _same_in_pages(listed, query, 3, whole)


def _same_in_pages(listed: Listed, query: str, limit: int, whole: list[str]) -> None:
    seen: list[str] = []
    while True:
        marker = f"&{urlencode({'marker': seen[-1]})}" if seen else ""
        path = f"/v2.1/servers?{query}&limit={limit}{marker}"
        page = listed.ask(listed.ours, path, "2.60").json()["servers"]
        seen += [row["id"] for row in page]
        if len(page) < limit:
            assert seen == whole, (query, limit)
            return
