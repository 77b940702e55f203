"""What Keystone holds: projects, users, roles, regions and endpoints, created where missing.

Nothing is ever removed or changed: RegionOne's endpoints belong to the appliance under test.
"""

from collections.abc import Iterator

import requests

from . import topology

PROJECTS = ("admin", "demo", "alt_demo", "service")
# (user, project, role)
GRANTS = (
    ("admin", "admin", "admin"),
    ("admin", "demo", "admin"),
    ("admin", "alt_demo", "admin"),
    ("admin", "service", "admin"),
    ("demo", "demo", "member"),
    ("alt_demo", "alt_demo", "member"),
    ("service", "service", "admin"),
    ("service", "service", "service"),
    ("trio2o", "service", "admin"),
    ("trio2o", "service", "service"),
)
SERVICES = {
    "identity": "keystone",
    "image": "glance",
    "network": "neutron",
    "compute": "nova",
    "placement": "placement",
    "block-storage": "cinder",
    "volumev3": "cinderv3",
}


class Api(requests.Session):
    """Calls with an administrator's token; every answer that is an error is raised."""

    def __init__(self) -> None:
        super().__init__()
        domain = {"id": "default"}
        password, project = topology.ACCOUNTS["admin"]
        user = {"name": "admin", "domain": domain, "password": password}
        body = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": project, "domain": domain}},
        }
        answer = self.post(f"{topology.AUTH_URL}/auth/tokens", json={"auth": body})
        self.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        self.project_id: str = answer.json()["token"]["project"]["id"]

    def request(self, method, url, **options):
        if url.startswith("/"):
            url = topology.AUTH_URL + url
        answer = super().request(method, url, **({"timeout": 60} | options))
        answer.raise_for_status()
        return answer

    def ensure(self, kind: str, match: str, body: dict[str, object]) -> str:
        """The id of the one that is there already, or of a new one."""
        path = f"/{kind}s"
        found = self.get(path, params={match: body[match]}).json()[f"{kind}s"]
        if found:
            return found[0]["id"]
        return self.post(path, json={kind: body}).json()[kind]["id"]


def fill(pods: list[int]) -> Api:
    api = Api()
    projects = {
        name: api.ensure("project", "name", {"name": name, "domain_id": "default"})
        for name in PROJECTS
    }
    users = {name: _user(api, name, projects) for name in topology.ACCOUNTS}
    roles = {role["name"]: role["id"] for role in api.get("/roles").json()["roles"]}
    for user, project, role in GRANTS:
        api.put(f"/projects/{projects[project]}/users/{users[user]}/roles/{roles[role]}")
    # The appliance acts in every tenant's project.
    api.put(
        f"/OS-INHERIT/domains/default/users/{users['trio2o']}"
        f"/roles/{roles['admin']}/inherited_to_projects"
    )
    regions = [topology.TENANTS, topology.CENTRAL, *map(topology.pod_region, pods)]
    _regions(api, regions)
    _endpoints(api, regions, pods)
    return api


def _user(api: Api, name: str, projects: dict[str, str]) -> str:
    password, project = topology.ACCOUNTS[name]
    body = {"name": name, "password": password, "domain_id": "default"}
    return api.ensure("user", "name", body | {"default_project_id": projects[project]})


def _regions(api: Api, regions: list[str]) -> None:
    present = {region["id"] for region in api.get("/regions").json()["regions"]}
    for region in regions:
        if region not in present:
            api.post("/regions", json={"region": {"id": region}})


def _endpoints(api: Api, regions: list[str], pods: list[int]) -> None:
    ids = {
        kind: api.ensure("service", "type", {"type": kind, "name": name})
        for kind, name in SERVICES.items()
    }
    present = {
        (endpoint["region_id"], endpoint["service_id"], endpoint["interface"])
        for endpoint in api.get("/endpoints").json()["endpoints"]
    }
    for region, kind, url in _wanted(regions, pods):
        for interface in ("public", "internal"):
            if (region, ids[kind], interface) not in present:
                body = {"region_id": region, "service_id": ids[kind], "url": url}
                api.post("/endpoints", json={"endpoint": body | {"interface": interface}})


def _wanted(regions: list[str], pods: list[int]) -> Iterator[tuple[str, str, str]]:
    for region in regions:
        yield region, "identity", topology.AUTH_URL
        if region != topology.TENANTS:  # clients look for images in the region they work in
            yield region, "image", topology.GLANCE_URL
    yield topology.CENTRAL, "network", f"http://{topology.IP}:{topology.CENTRAL_NEUTRON}"
    for number in pods:
        region = topology.pod_region(number)
        yield region, "compute", topology.pod_url(number, "nova") + "/v2.1"
        yield region, "network", topology.pod_url(number, "neutron")
        yield region, "placement", topology.pod_url(number, "placement")
        volumes = topology.pod_url(number, "cinder") + "/v3/$(project_id)s"
        yield region, "block-storage", volumes
        yield region, "volumev3", volumes
