"""One Cinder's lists, after its code: order, markers, offsets, counts, its own refusals."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qsl

from attrs import define
from world import answer

from trio2o.message import Answer, Call

Row = dict[str, Any]
Keys = list[tuple[str, bool]]

BRIEF = {
    "volumes": ("id", "name", "links"),
    "backups": ("id", "name", "links"),
    "groups": ("id", "name"),
    "consistencygroups": ("id", "name"),
    "group_snapshots": ("id", "name", "group_type_id"),
    "cgsnapshots": ("id", "name"),
    "attachments": ("id", "status", "instance", "volume_id"),
    "volume-transfers": ("id", "volume_id", "name", "links"),
    "os-volume-transfer": ("id", "volume_id", "name", "links"),
}
"""What a brief row shows; other lists have no brief one."""

LINKS = {
    "volumes": "volumes_links",
    "snapshots": "snapshots_links",
    "backups": "backups_links",
    "groups": "group_links",
    "consistencygroups": "consistencygroup_links",
    "group_snapshots": "group_snapshot_links",
    "messages": "messages_links",
    "volume-transfers": "transfers_links",
    "os-volume-transfer": "transfers_links",
}
ROWS = {"volume-transfers": "transfers", "os-volume-transfer": "transfers"}
COUNTED = ("volumes", "snapshots", "backups")
PAGED_FROM = {"group_snapshots": 29, "messages": 5, "volume-transfers": 59}
CUT = ("cgsnapshots", "os-volume-transfer")
"""Limit and offset are cut out of the whole list, and a marker is ignored."""
OLDEST_FIRST = ("os-volume-transfer", "volume-transfers")
HIDDEN = {"attachments": ("created_at", "name")}


class Refused(Exception):
    pass


def sorting(query: list[tuple[str, str]]) -> Keys:
    asked = dict(query)
    if "sort" in asked:
        if "sort_key" in asked or "sort_dir" in asked:
            raise Refused(400)
        pairs = [part.partition(":") for part in asked["sort"].split(",")]
        keys = [(key, direction or "desc") for key, _, direction in pairs]
    else:
        keys = [(asked.get("sort_key", "created_at"), asked.get("sort_dir", "desc"))]
    if any(direction not in ("asc", "desc") for _, direction in keys):
        raise Refused(400)
    first = keys[0][1]
    names = [name for name, _ in keys]
    keys += [(name, first) for name in ("created_at", "id") if name not in names]
    return [(name, direction == "desc") for name, direction in keys]


def ordered(rows: list[Row], keys: Keys) -> list[Row]:
    rows = list(rows)
    for name, falls in reversed(keys):
        rows.sort(key=lambda row: row[name].casefold(), reverse=falls)
    return rows


@define(eq=False)
class Cinder:
    """`rows` of one kind, in no order; `minor` is the microversion that it is asked in."""

    kind: str
    rows: list[Row]
    minor: int
    cap: int = 1000

    def __call__(self, call: Call) -> Answer:
        parts = call.path.decode().strip("/").split("/")
        kind = ROWS.get(parts[0], parts[0])
        if len(parts) == 2 and parts[1] != "detail":
            found = next((row for row in self.rows if row["id"] == parts[1]), None)
            key = kind.removesuffix("s")
            return answer(200, {key: self.shown(found, True)}) if found else answer(404, {})
        query = parse_qsl(call.query.decode(), keep_blank_values=True)
        try:
            body = self.listed(parts[0], query, parts[-1] == "detail")
        except Refused as refused:
            return answer(refused.args[0], {"badRequest": {"code": refused.args[0]}})
        return answer(200, body)

    def shown(self, row: Row, detail: bool) -> Row:
        if not detail and self.kind in BRIEF:
            return {name: row[name] for name in BRIEF[self.kind] if name in row}
        return {name: row[name] for name in row if name not in HIDDEN.get(self.kind, ())}

    def listed(self, kind: str, query: list[tuple[str, str]], detail: bool) -> dict[str, Any]:
        asked = dict(query)
        cut = kind in CUT or (kind == "volume-transfers" and self.minor < 59)
        paged = not cut and self.minor >= PAGED_FROM.get(kind, 0)
        if not (cut or paged):  # links of those versions are not modelled
            asked = {}
        for name in ("limit", "offset"):
            if not asked.get(name, "0").isdigit():
                raise Refused(400)
        limit = min(int(asked.get("limit", self.cap)), self.cap)
        offset = int(asked.get("offset", 0))
        sort = sorting(query) if paged else []
        if not paged:
            falls = kind not in OLDEST_FIRST
            sort = [("created_at", falls), ("id", falls)]
        rows = everything = ordered(self.rows, sort)
        if cut:
            rows = rows[offset : offset + (limit or self.cap)]
        elif paged:
            if marker := asked.get("marker"):
                ids = [row["id"] for row in rows]
                if marker not in ids:
                    raise Refused(404)
                rows = rows[ids.index(marker) + 1 :]
            rows = rows[offset : offset + limit]
        body: dict[str, Any] = {ROWS.get(kind, kind): [self.shown(row, detail) for row in rows]}
        count = None
        if kind in COUNTED and self.minor >= 45 and asked.get("with_count") == "True":
            count = body["count"] = len(everything)
        if kind in LINKS and rows and limit <= (count or len(rows)) and (paged or cut):
            href = f"http://pod/v3/{kind}?marker={rows[-1]['id']}"
            body[LINKS[kind]] = [{"rel": "next", "href": href}]
        return body


def listed(found: Answer, kind: str) -> dict[str, Any]:
    """A list's body, its links as what they continue behind."""
    body = json.loads(found.body)
    for key in [key for key in body if key.endswith("_links")]:
        query = dict(parse_qsl(body[key][0]["href"].partition("?")[2]))
        body[key] = query["marker"]
    return body
