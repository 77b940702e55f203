"""One Nova's list of servers, after its code: order, markers, filters, its own refusals."""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import Any
from urllib.parse import parse_qsl, urlencode

from attrs import define
from world import answer

from trio2o.message import Answer, Call, header

CAP = 1000
COLUMNS = ("created_at", "updated_at", "display_name", "power_state", "image_ref", "hostname")
IGNORED = ("vcpus", "id")
STATUS = {"ACTIVE": "active", "ERROR": "error", "SHUTOFF": "stopped"}


@define(eq=False)
class Server:
    """A row of the database. One that is `unscheduled` has no host yet: it is a build request."""

    uuid: str
    created_at: str
    updated_at: str
    display_name: str | None
    power_state: int | None
    image_ref: str
    hostname: str
    status: str = "ACTIVE"
    unscheduled: bool = False
    deleted: bool = False

    def shown(self, admin: bool) -> dict[str, Any]:
        row = {
            "id": self.uuid,
            "created": self.created_at,
            "updated": self.updated_at,
            "name": self.display_name,
            "OS-EXT-STS:power_state": self.power_state,
            "OS-EXT-STS:task_state": "scheduling" if self.unscheduled else None,
            "image": {"id": self.image_ref, "links": []} if self.image_ref else "",
            "status": "DELETED" if self.deleted else self.status,
            "links": [],
        }
        return row | ({"OS-EXT-SRV-ATTR:hostname": self.hostname} if admin else {})


def folded(value: Any) -> Any:
    """As MySQL compares: null lowest, text without case and accents."""
    if value is None:
        return (0, 0)
    if isinstance(value, str):
        plain = unicodedata.normalize("NFD", value)
        return (1, "".join(c for c in plain if not unicodedata.combining(c)).upper())
    return (1, value)


class Refused(Exception):
    pass


def sorted_by(query: list[tuple[str, str]]) -> list[tuple[str, bool]]:
    """The keys with their directions, as `process_sort_params` and the cells' lister make them."""
    keys = [value for name, value in query if name == "sort_key"] or ["created_at"]
    dirs = [value for name, value in query if name == "sort_dir"] or ["desc"]
    if set(keys) - {*COLUMNS, *IGNORED, "uuid"} or set(dirs) - {"asc", "desc"}:
        raise Refused("invalid sort")
    for key in [key for key in keys if key in IGNORED]:
        place = keys.index(key)
        dirs = dirs[:place] + dirs[place + 1 :]
        keys = keys[:place] + keys[place + 1 :]
    if not keys:
        keys, dirs = ["created_at"], ["desc"]  # and the number in the database, which is not told
    if "uuid" not in keys:
        keys, dirs = [*keys, "uuid"], [*dirs, "asc"]
    if len(dirs) > len(keys):
        raise Refused("more directions than keys")
    first = dirs[0] if dirs else "desc"
    dirs += [first] * (len(keys) - len(dirs))
    return [(key, dir == "desc") for key, dir in zip(keys, dirs, strict=True)]


def compare(one: Server, two: Server, by: list[tuple[str, bool]]) -> int:
    for key, falls in by:
        a, b = folded(getattr(one, key)), folded(getattr(two, key))
        if a != b:
            return -1 if (a < b) != falls else 1
    return 0


@define(eq=False)
class Nova:
    """`servers` are in no order. `known` is where markers are looked up (its own, unless told)."""

    servers: list[Server]
    cap: int = CAP
    known: list[Server] | None = None

    def find(self, uuid: str) -> Server | None:
        rows = self.servers if self.known is None else self.known
        return next((server for server in rows if server.uuid == uuid), None)

    def __call__(self, call: Call) -> Answer:
        admin = header(call.headers, b"x-auth-token") == b"our own"
        if call.path not in (b"/servers", b"/servers/detail"):
            found = self.find(call.path.rpartition(b"/")[2].decode())
            if found is None or found.deleted:
                return answer(404, {"itemNotFound": {"code": 404, "message": "no server"}})
            return answer(200, {"server": found.shown(admin)})
        query = parse_qsl(call.query.decode(), keep_blank_values=True)
        try:
            rows, full = self.page(query)
        except Refused as refused:
            return answer(400, {"badRequest": {"code": 400, "message": str(refused)}})
        body: dict[str, Any] = {"servers": [server.shown(admin) for server in rows]}
        if full:
            query = [(name, value) for name, value in query if name != "marker"]
            behind = urlencode([*query, ("marker", rows[-1].uuid)])
            href = f"http://pod/v2.1/servers/detail?{behind}"
            body["servers_links"] = [{"rel": "next", "href": href}]
        return answer(200, body)

    def page(self, query: list[tuple[str, str]]) -> tuple[list[Server], bool]:
        """The servers of a page, and whether it is full (and has a link to the next)."""
        asked = dict(query)
        limit = asked.get("limit", str(self.cap))
        if not limit.isdigit():
            raise Refused("invalid limit")
        size = min(int(limit), self.cap)
        by = sorted_by(query)
        rows = [server for server in self.servers if self.fits(server, asked)]
        rows.sort(key=functools.cmp_to_key(lambda a, b: compare(a, b, by)))
        waiting = [server for server in rows if server.unscheduled]
        placed = [server for server in rows if not server.unscheduled]
        if marker := asked.get("marker"):
            found = self.find(marker)
            if found is None:
                raise Refused(f"marker [{marker}] not found")
            if found.unscheduled and not found.deleted:
                waiting = [server for server in waiting if compare(found, server, by) < 0]
            else:
                waiting = []
                placed = [server for server in placed if compare(found, server, by) < 0]
        rows = [*waiting, *placed][:size]
        return rows, bool(rows) and len(rows) == size

    def fits(self, server: Server, asked: dict[str, str]) -> bool:
        since = asked.get("changes-since")
        if server.deleted and since is None:
            return False
        if since is not None and server.updated_at < since:
            return False
        if "uuid" in asked and server.uuid != asked["uuid"]:
            return False
        if "status" in asked and STATUS.get(server.status) != STATUS.get(asked["status"]):
            return False
        return "name" not in asked or bool(re.search(asked["name"], server.display_name or ""))
