"""The APIs of a fake pod: Nova, Cinder and Neutron; and the Glance that pods share."""

import re
import uuid
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import urlencode

from fake_aggregates import aggregates, services
from fake_http import INTERNAL, Call, Fault, Reply, Row, Service, as_version, links, public

if TYPE_CHECKING:
    from fakes import Cloud, FakeImages, FakePod


class PodService(Service):
    """An API of a pod: versions, pages, and rows that belong to a project."""

    def __init__(self, cloud: "Cloud", pod: "FakePod") -> None:
        self.pod, self.rows = pod, pod.rows
        super().__init__(cloud, pod)

    def negotiate(self, call: Call, limits: tuple[str, str]) -> None:
        """Settle the microversion of a call and name it in the answer."""
        name, old = "OpenStack-API-Version", "X-OpenStack-Nova-API-Version"
        parts = [part.split() for part in call.header(name).lower().split(",")]
        wanted = [part[1] for part in parts if part[:1] == [self.type] and part[1:]]
        text = (wanted or [call.header(old) or limits[0]])[-1].replace("latest", limits[1])
        if not re.fullmatch(r"[1-9]\d*\.([1-9]\d*|0)", text):
            message = f"API Version String {text} is of invalid format. "
            raise Fault(400, message + "Must be of format MajorNum.MinorNum.")
        call.version = as_version(text)
        call.out |= {name: f"{self.type} {text}", "Vary": name}
        if self.type == "compute":
            call.out |= {old: text, "Vary": f"{name}, {old}"}
        if not as_version(limits[0]) <= call.version <= as_version(limits[1]):
            message = f"Version {text} is not supported by the API. "
            raise Fault(406, message + f"Minimum is {limits[0]} and maximum is {limits[1]}.")

    def enter(self, call: Call) -> str:
        call.out["x-openstack-request-id"] = f"req-{uuid.uuid4()}"
        if self.type == "compute":
            call.out["x-compute-request-id"] = call.out["x-openstack-request-id"]
        limits = getattr(self.pod, f"{self.type}_range", None)
        if limits and (call.path != "/" or self.type == "volume"):
            self.negotiate(call, limits)
        return super().enter(call)

    def page(
        self, call: Call, rows: Iterable[Row], shown: Callable[[Row], object], kind: str
    ) -> tuple[list[Row], Row]:
        """The page asked for, of sorted rows (some are markers only), and its next link."""
        found, marker, size = list(rows), call.one("marker"), self.pod.page_cap
        if self.type == "network" and call.one("limit", "0") == "0":
            marker, size = "", len(found)
        elif "limit" in call.query:
            if not call.one("limit").isdigit():
                raise Fault(400, f"Invalid input for query parameter limit: {call.one('limit')}")
            size = min(size, int(call.one("limit")))
        if marker:
            ids = [row["id"] for row in found]
            if marker not in ids:
                raise Fault(400 if self.type == "compute" else 404, f"marker [{marker}] not found")
            found = found[ids.index(marker) + 1 :]
        found = [row for row in found if shown(row)][int(call.one("offset", "0")) :][:size]
        if not found or len(found) < size or (self.type == "network" and "limit" not in call.query):
            return found, {}
        query = urlencode(call.query | {"marker": [found[-1]["id"]]}, doseq=True)
        return found, {f"{kind}_links": links(f"{call.path}?{query}", "next")}

    def own(self, call: Call, kind: str, key: str, message: str) -> Row:
        row = self.rows[kind].get(key, {"_project": None, "_deleted": True})
        if row.get("_deleted") or not (call.admin or row.get("_project") in (call.project, "")):
            raise Fault(404, message)
        return row

    def metadata(self, call: Call, row: Row) -> Reply:
        if call.method != "GET":
            old = row["metadata"] if call.method == "POST" else {}
            row["metadata"] = old | call.part("metadata")
        return 200, {"metadata": row["metadata"]}

    def zones(self) -> Reply:
        zones = [{"zoneName": zone, "zoneState": {"available": True}} for zone in self.pod.zones]
        return 200, {"availabilityZoneInfo": zones}


class Nova(PodService):
    type, prefix = "compute", "/v2.1"
    since: ClassVar = {"locked": (2, 9), "description": (2, 19), "tags": (2, 26)}

    def handle(self, call: Call, path: list[str]) -> Reply:
        if call.token and not call.project:
            raise Fault(403, "Policy doesn't allow this to be performed.")
        path = ["servers" if part == "os-volumes_boot" else part for part in path]
        match (call.method, *path):
            case ("GET",) | ("GET", "v2.1"):
                return self.versions(path)
            case ("GET", ("servers" | "flavors") as kind) | (
                "GET",
                "servers" | "flavors" as kind,
                "detail",
            ):
                return self.list_rows(call, kind, "detail" in path)
            case "POST", "servers":
                return self.create_server(call, call.part("server"))
            case _, "servers", key, *rest:
                server = self.own(call, "servers", key, f"Instance {key} could not be found.")
                return self.on_server(call, server, rest)
            case "POST", "flavors":
                self.admin_only(call)
                wish: Row = {"id": str(uuid.uuid4()), "disk": 0} | call.part("flavor")
                names = {row["name"] for row in self.rows["flavors"].values()}
                if self.pod.refuse or wish["id"] in self.rows["flavors"] or wish["name"] in names:
                    raise Fault(self.pod.refuse or 409, "Flavor already exists or is refused.")
                self.pod.add_flavor(**wish)
                return 200, {"flavor": self.flavor_view(call, self.rows["flavors"][wish["id"]])}
            case _, "flavors", key, *rest:
                flavor = self.own(call, "flavors", key, f"Flavor {key} could not be found.")
                if call.method != "GET":
                    self.admin_only(call)
                return self.on_flavor(call, flavor, rest)
            case "GET", "os-availability-zone", *_:
                return self.zones()
            case "GET", "os-hypervisors", "statistics":
                self.admin_only(call)
                told = {"memory_mb": 1000, "free_ram_mb": 1000 * self.pod.free}
                return 200, {"hypervisor_statistics": told}
            case "GET", "os-services":
                return services(self.pod)
            case _, "os-aggregates", *rest:
                return aggregates(self.pod, call, rest)
        raise Fault(404, "The resource could not be found.")

    def versions(self, path: list[str]) -> Reply:
        lowest, highest = self.pod.compute_range
        row: Row = {"id": "v2.1", "status": "CURRENT", "version": highest, "min_version": lowest}
        row |= {"updated": "2013-07-23T11:33:21Z", "links": links("/v2.1/", "self")}
        old: Row = {"id": "v2.0", "status": "DEPRECATED", "version": "", "min_version": ""}
        old["links"] = links("/v2/", "self")
        kind = "application/vnd.openstack.compute+json;version=2.1"
        types = {"media-types": [{"base": "application/json", "type": kind}]}
        return 200, {"version": row | types} if path else {"versions": [row | old, row]}

    def list_rows(self, call: Call, kind: str, detail: bool) -> Reply:
        if "all_tenants" in call.query and not call.admin:
            raise Fault(403, "Policy doesn't allow get_all_tenants to be performed.")
        since, wanted = call.one("changes-since"), call.query.get("status", [])

        def shown(row: Row) -> bool:
            alive = row["updated"] >= since if since else not row["_deleted"]
            right = not wanted or row["status"].lower() in [text.lower() for text in wanted]
            return (
                alive
                and right
                and call.lists(row)
                and bool(re.search(call.one("name"), row["name"]))
            )

        rows = sorted(self.rows[kind].values(), key=lambda row: row["id"])
        if kind == "flavors":
            found, next_link = self.page(call, rows, bool, kind)
            views = [self.flavor_view(call, row) for row in found]
        else:
            rows.sort(key=lambda row: row["created"], reverse=True)
            found, next_link = self.page(call, rows, shown, kind)
            views = [self.server_view(call, row) for row in found]
        brief = [{key: view[key] for key in ("id", "name", "links")} for view in views]
        return 200, {kind: views if detail else brief} | next_link

    def flavor_view(self, call: Call, row: Row) -> Row:
        view = public(row) | {"links": links(f"/v2.1{call.in_path}/flavors/{row['id']}")}
        if call.version >= (2, 61):
            view["extra_specs"] = row["_specs"]
        if call.version < (2, 55):
            del view["description"]
        return view

    def on_flavor(self, call: Call, flavor: Row, rest: list[str]) -> Reply:
        specs, projects = flavor["_specs"], flavor["_projects"]
        match (call.method, *rest):
            case ("GET",):
                return 200, {"flavor": self.flavor_view(call, flavor)}
            case ("PUT",):
                flavor["description"] = call.part("flavor")["description"]
                return 200, {"flavor": self.flavor_view(call, flavor)}
            case ("DELETE",):
                del self.rows["flavors"][flavor["id"]]
                return 202, None
            case "GET", "os-extra_specs":
                return 200, {"extra_specs": specs}
            case "POST", "os-extra_specs":
                specs |= call.part("extra_specs")
                return 200, call.json
            case "PUT", "os-extra_specs", name:
                specs[name] = call.json[name]
                return 200, call.json
            case _, "os-extra_specs", name if name in specs:
                if call.method == "GET":
                    return 200, {name: specs[name]}
                del specs[name]
                return 200, None
            case "POST", "action":
                ((action, wish),) = call.json.items()
                if (action == "addTenantAccess") == (wish["tenant"] in projects):
                    raise Fault(409, "Flavor access already exists, or there is none.")
                change = projects.append if action == "addTenantAccess" else projects.remove
                change(wish["tenant"])
            case "GET", "os-flavor-access" if not flavor["os-flavor-access:is_public"]:
                pass
            case _:
                raise Fault(404, "Not found for this flavor.")
        access = [{"flavor_id": flavor["id"], "tenant_id": one} for one in projects]
        return 200, {"flavor_access": access}

    def server_view(self, call: Call, row: Row) -> Row:
        known = {k: v for k, v in public(row).items() if call.version >= self.since.get(k, (2, 1))}
        known["links"] = links(f"/v2.1{call.in_path}/servers/{row['id']}")
        flavor = row["_flavor"]
        known["flavor"] = {
            "id": flavor["id"],
            "links": links(f"/flavors/{flavor['id']}", "bookmark"),
        }
        if call.version >= (2, 47):
            embedded = {key: flavor[key] for key in ("vcpus", "ram", "disk", "swap")}
            known["flavor"] = embedded | {"original_name": flavor["name"], "ephemeral": 0}
        return known

    def create_server(self, call: Call, wish: Row) -> Reply:
        flavor = str(wish.get("flavorRef")).split("/")[-1]
        zone = (wish.get("availability_zone") or "").split(":")[0]
        if flavor not in self.rows["flavors"] or (zone and zone not in self.pod.zones):
            raise Fault(400, "Flavor could not be found, or the zone is not available.")
        count = int(wish.get("max_count") or wish.get("min_count") or 1)
        names = [f"{wish['name']}-{n + 1}" if count > 1 else wish["name"] for n in range(count)]
        more: Row = {
            key: wish[key] for key in ("metadata", "key_name", "description") if key in wish
        }
        more |= {"_flavor": self.rows["flavors"][flavor], "user_id": call.token["user"]["id"]}
        more["OS-EXT-AZ:availability_zone"] = zone or self.pod.zones[0]
        if wish.get("imageRef"):
            more["image"] = {"id": wish["imageRef"], "links": links(f"/images/{wish['imageRef']}")}
        key, *_ = [self.pod.add_server(call.project, name, **more) for name in names]
        for device in wish.get("block_device_mapping_v2", []):
            if device.get("source_type") == "volume":
                self.attach(call, self.rows["servers"][key], {"volumeId": device["uuid"]})
        view: Row = {"id": key, "links": links(f"/v2.1{call.in_path}/servers/{key}")}
        view |= {"OS-DCF:diskConfig": "MANUAL", "security_groups": [{"name": "default"}]}
        call.out["Location"] = view["links"][0]["href"]
        return 202, {"server": view | {"adminPass": "s3cr3tPass123"}}

    def attach(self, call: Call, server: Row, wish: Row) -> Row:
        key = wish["volumeId"]
        volume = self.own(call, "volumes", key, f"Volume {key} could not be found.")
        if volume["status"] != "available":
            raise Fault(400, f"Invalid volume: volume {key} status must be available.")
        found = {"id": key, "volumeId": key, "serverId": server["id"], "device": "/dev/vdb"}
        volume |= {"status": "in-use", "attachments": [{"server_id": server["id"], "id": key}]}
        server["os-extended-volumes:volumes_attached"].append({"id": key})
        server["_attached"][key] = found
        return found

    def detach(self, server: Row, key: str) -> None:
        if not server["_attached"].pop(key, None):
            raise Fault(404, f"Instance {server['id']} is not attached to volume {key}")
        self.rows["volumes"][key] |= {"status": "available", "attachments": []}
        server["os-extended-volumes:volumes_attached"].remove({"id": key})

    def on_server(self, call: Call, server: Row, rest: list[str]) -> Reply:
        match (call.method, *rest):
            case ("GET",):
                return 200, {"server": self.server_view(call, server)}
            case ("PUT",):
                server |= {**call.part("server"), "updated": f"{self.cloud.time()}Z"}
                return 200, {"server": self.server_view(call, server)}
            case ("DELETE",):
                for key in list(server["_attached"]):
                    self.detach(server, key)
                server |= {
                    "_deleted": True,
                    "status": "DELETED",
                    "updated": f"{self.cloud.time()}Z",
                }
                return 204, None
            case "POST", "action":
                (action,) = call.json
                done = {"action": action, "request_id": call.out["x-openstack-request-id"]}
                server["_actions"].insert(0, done | {"instance_uuid": server["id"]})
                states = {"os-stop": "SHUTOFF", "os-start": "ACTIVE"}
                if action == "createImage":
                    call.out["Location"] = f"{INTERNAL}/images/{uuid.uuid4()}"
                server["status"] = states.get(action, server["status"])
                return 202, None
            case _, "metadata":
                return self.metadata(call, server)
            case "GET", "os-instance-actions":
                return 200, {"instanceActions": server["_actions"]}
            case "GET", "os-volume_attachments":
                return 200, {"volumeAttachments": list(server["_attached"].values())}
            case "POST", "os-volume_attachments":
                found = self.attach(call, server, call.part("volumeAttachment"))
                return 200, {"volumeAttachment": found}
            case "DELETE", "os-volume_attachments", key:
                self.detach(server, key)
                return 202, None
        raise Fault(404, "The resource could not be found.")


def newest(row: Row) -> tuple[str, str]:
    return row["created_at"], row["id"]


FILTERS = ("name", "status", "volume_id", "availability_zone")


class Cinder(PodService):
    type, prefix = "volume", "/v3"

    def handle(self, call: Call, path: list[str]) -> Reply:
        match (call.method, *path):
            case ("GET",) | ("GET", "v3"):
                lowest, highest = self.pod.volume_range
                row: Row = {"id": "v3.0", "status": "CURRENT", "updated": "2016-02-08T12:20:21Z"}
                row |= {"version": highest, "min_version": lowest, "links": links("/v3/", "self")}
                return 200 if path else 300, {"versions": [row]}
            case "POST", ("volumes" | "snapshots") as kind:
                return self.create(call, kind, call.part(kind[:-1]))
            case ("GET", ("volumes" | "snapshots") as kind, *rest) if rest in ([], ["detail"]):
                return self.list_rows(call, kind, bool(rest))
            case _, ("volumes" | "snapshots") as kind, key, *rest:
                named = f"{kind[:-1].capitalize()} {key} could not be found."
                return self.on_row(call, kind, self.own(call, kind, key, named), rest)
            case "GET", "types":
                return 200, {"volume_types": list(self.rows["types"].values())}
            case "GET", "types", key:
                row = self.own(call, "types", key, f"Volume type {key} could not be found.")
                return 200, {"volume_type": row}
            case "GET", ("group_types" | "qos-specs" | "default-types") as kind:
                return 200, {kind.replace("-", "_"): []}
            case "GET", "os-availability-zone":
                return self.zones()
            case "GET", "scheduler-stats", "get_pools":
                self.admin_only(call)
                told = {"total_capacity_gb": 100, "free_capacity_gb": 100 * self.pod.free}
                return 200, {"pools": [{"name": "pool", "capabilities": told}]}
        raise Fault(404, "The resource could not be found.")

    def view(self, call: Call, kind: str, row: Row) -> Row:
        return public(row) | {"links": links(f"/v3{call.in_path}/{kind}/{row['id']}")}

    def create(self, call: Call, kind: str, wish: Row) -> Reply:
        if kind == "volumes" and not wish.get("size"):
            raise Fault(400, "Invalid input for field/attribute size.")
        zone = wish.get("availability_zone")
        if zone and zone not in self.pod.zones:
            raise Fault(400, f"Availability zone '{zone}' is invalid.")
        if kind == "snapshots":
            key = wish["volume_id"]
            self.own(call, "volumes", key, f"Volume {key} could not be found.")
        fields = {k: v for k, v in wish.items() if v is not None and k not in ("name", "force")}
        add = self.pod.add_volume if kind == "volumes" else self.pod.add_snapshot
        key = add(call.project, wish.get("name"), user_id=call.token["user"]["id"], **fields)
        view = self.view(call, kind, self.rows[kind][key])
        return 202, {kind[:-1]: view | {"status": "creating"}}

    def list_rows(self, call: Call, kind: str, detail: bool) -> Reply:
        asked = {key: call.one(key) for key in FILTERS if key in call.query}
        rows = sorted(self.rows[kind].values(), key=newest, reverse=True)

        def shown(row: Row) -> bool:
            return call.lists(row) and asked.items() <= {k: row.get(k) for k in asked}.items()

        found, next_link = self.page(call, rows, shown, kind)
        views = [self.view(call, kind, row) for row in found]
        if not detail and kind == "volumes":
            views = [{key: view[key] for key in ("id", "name", "links")} for view in views]
        return 200, {kind: views} | next_link

    def on_row(self, call: Call, kind: str, row: Row, rest: list[str]) -> Reply:
        match (call.method, *rest):
            case ("GET",):
                pass
            case ("PUT",):
                row |= {**call.part(kind[:-1]), "updated_at": f"{self.cloud.time()}.000000"}
            case ("DELETE",):
                if row["status"] == "in-use":
                    raise Fault(400, "Invalid volume: Volume status must be available or error.")
                del self.rows[kind][row["id"]]
                return 202, None
            case "POST", "action":
                (action,) = call.json
                row["_actions"].append(action)
                if action == "os-extend":
                    row["size"] = call.json[action]["new_size"]
                return 202, None
            case _, "metadata":
                return self.metadata(call, row)
            case _:
                raise Fault(404, "The resource could not be found.")
        return 200, {kind[:-1]: self.view(call, kind, row)}


class Placement(PodService):
    """It has room, or none, for whatever is asked."""

    type, prefix = "placement", ""

    def handle(self, call: Call, path: list[str]) -> Reply:
        if call.path == "/":
            row = {"id": "v1.0", "min_version": "1.0", "max_version": "1.39", "status": "CURRENT"}
            return 200, {"versions": [row]}
        self.admin_only(call)
        candidates = [{"allocations": {}}] if self.pod.room else []
        return 200, {"allocation_requests": candidates, "provider_summaries": {}}


class Neutron(PodService):
    """Every collection alike; no IPAM, no default groups."""

    type, prefix = "network", "/v2.0"
    paging: ClassVar = {"limit", "marker", "page_reverse", "fields", "sort_key", "sort_dir"}

    def open_paths(self, call: Call) -> str:
        return call.path if call.path == "/" else ""

    def fault_body(self, fault: Fault) -> Row:
        if fault.status == 401:
            return super().fault_body(fault)
        kind = fault.kind or {400: "HTTPBadRequest", 404: "HTTPNotFound"}.get(fault.status, "Error")
        return {"NeutronError": {"type": kind, "message": fault.message, "detail": ""}}

    def handle(self, call: Call, path: list[str]) -> Reply:
        if not path:
            version = {"id": "v2.0", "status": "CURRENT", "links": links("/v2.0/", "self")}
            return 200, {"versions": [version] if call.path == "/" else []}
        many = path[0].removesuffix(".json").replace("-", "_")
        if many == "flavors":  # Nova's are kept by that name
            raise Fault(404, "The resource could not be found.")
        one = re.sub("ies$", "ys", many)[:-1]
        match (call.method, *path[1:]):
            case ("GET",):
                return self.list_rows(call, many)
            case ("POST",):
                bulk = many in call.json
                rows = [self.create(call, many, w) for w in call.json[many]] if bulk else []
                return 201, {many: rows} if bulk else {one: self.create(call, many, call.part(one))}
        row = self.find(call, many, one, path[1]) if path[1:] else {}
        match (call.method, *path[2:]):
            case ("GET",):
                return 200, {one: self.view(call, row)}
            case ("PUT",):
                row |= {**call.part(one), "updated_at": f"{self.cloud.time()}Z"}
                row["revision_number"] += 1
                return 200, {one: self.view(call, row)}
            case ("DELETE",):
                del self.rows[many][row["id"]]
                return 204, None
            case "PUT", "add_router_interface":
                return 200, self.add_interface(call, row, call.json)
        raise Fault(404, "The resource could not be found.")

    def find(self, call: Call, many: str, one: str, key: str) -> Row:
        name = "".join(word.capitalize() for word in one.split("_"))
        row = self.rows[many].get(key)
        if row is None or not self.visible(call, row):
            raise Fault(404, f"{name} {key} could not be found.", f"{name}NotFound")
        return row

    def visible(self, call: Call, row: Row) -> bool:
        return call.admin or call.project == row["_project"] or row.get("shared") is True

    def view(self, call: Call, row: Row) -> Row:
        fields = call.query.get("fields")
        return {key: row[key] for key in public(row) if not fields or key in fields}

    def create(self, call: Call, many: str, wish: Row) -> Row:
        owner = wish.get("project_id") or wish.get("tenant_id")
        key = self.pod.add_resource(many, str(owner or call.project), **wish)
        return self.view(call, self.rows[many][key])

    def add_interface(self, call: Call, router: Row, wish: Row) -> Row:
        if "port_id" in wish:
            port = self.find(call, "ports", "port", wish["port_id"])
        else:
            subnet = self.find(call, "subnets", "subnet", wish["subnet_id"])
            fixed = [{"subnet_id": subnet["id"], "ip_address": subnet.get("gateway_ip")}]
            network = {"network_id": subnet["network_id"], "fixed_ips": fixed}
            key = self.pod.add_resource("ports", router["_project"], **network)
            port = self.rows["ports"][key]
        port |= {"device_id": router["id"], "device_owner": "network:router_interface"}
        subnets = [address["subnet_id"] for address in port.get("fixed_ips", [])]
        found = {"id": router["id"], "port_id": port["id"], "network_id": port["network_id"]}
        return found | {"subnet_ids": subnets, "subnet_id": (subnets or [None])[0]}

    def list_rows(self, call: Call, many: str) -> Reply:
        asked = {key: values for key, values in call.query.items() if key not in self.paging}

        def shown(row: Row) -> bool:
            texts = {key: str(row.get(key)).lower() for key in asked}
            same = (texts[key] in [value.lower() for value in asked[key]] for key in asked)
            return self.visible(call, row) and all(same)

        back = call.one("page_reverse").lower() == "true"
        rows = sorted(self.rows[many].values(), key=lambda row: row["id"], reverse=back)
        found, next_link = self.page(call, rows, shown, many)
        if back:
            found, next_link = found[::-1], {}
        return 200, {many: [self.view(call, row) for row in found]} | next_link


class Glance(Service):
    """Images, their data, and the version document."""

    type, prefix = "image", "/v2"

    def __init__(self, cloud: "Cloud", images: "FakeImages") -> None:
        self.rows = images.rows
        super().__init__(cloud, images)

    def open_paths(self, call: Call) -> str:
        return call.path if call.path in ("/", "/versions") else ""

    def fault_body(self, fault: Fault) -> bytes:  # type: ignore[override]
        return f"<html><body>{fault.status} {fault.message}</body></html>".encode()

    def view(self, row: Row) -> Row:
        path = f"/v2/images/{row['id']}"
        return public(row) | {"self": path, "file": f"{path}/file", "schema": "/v2/schemas/image"}

    def handle(self, call: Call, path: list[str]) -> Reply:
        call.out["x-openstack-request-id"] = f"req-{uuid.uuid4()}"
        rows = self.rows["images"]
        match (call.method, *path):
            case ("GET",) | ("GET", "versions"):
                version = {"id": "v2.9", "status": "CURRENT", "links": links("/v2/", "self")}
                return 200 if path else 300, {"versions": [version]}
            case "GET", "images":
                found = [self.view(row) for row in rows.values() if call.lists(row)]
                return 200, {"images": found, "first": "/v2/images"}
            case "POST", "images":
                row: Row = {"id": str(uuid.uuid4()), "status": "queued", "_project": call.project}
                row |= call.json
                rows[row["id"]] = row
                call.out["Location"] = f"{INTERNAL}/v2/images/{row['id']}"
                return 201, self.view(row)
            case _, "images", key, *rest if key in rows:
                return self.on_image(call, rows[key], rest)
        call.out["Content-Type"] = "text/html; charset=UTF-8"
        raise Fault(404, "Failed to find image")

    def on_image(self, call: Call, row: Row, rest: list[str]) -> Reply:
        match (call.method, *rest):
            case ("PATCH",):
                if "json-patch" not in call.header("Content-Type"):
                    raise Fault(415, "Unsupported Content-Type")
                row |= {change["path"][1:]: change["value"] for change in call.json}
            case ("DELETE",):
                del self.rows["images"][row["id"]]
                return 204, None
            case "PUT", "file":
                row |= {"status": "active", "size": len(call.body), "_data": call.body}
                return 204, None
            case "GET", "file":
                call.out["Content-Type"] = "application/octet-stream"
                return 200, row["_data"]
        return 200, self.view(row)
