"""Tenant usage in pages (from 2.40): pages are of servers, sums are of what a page shows."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from attrs import frozen
from msgspec.structs import replace

from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.faces.resources import SERVER
from trio2o.message import Answer, Call
from trio2o.verbs import UNAVAILABLE, Context, ask_any, below, incomplete, json_answer

PAGE = 1000
"""Servers in a page at most (Nova's `max_limit`)."""

Row = dict[str, Any]


class _Refused(Exception):
    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


@frozen
class UsagePages:
    """`key` is "tenant_usages" (a list of projects) or "tenant_usage" (one).

    Nova orders by project and server. No pod knows another's server as a marker, so pods are read
    whole, and pages are cut here.
    """

    key: str

    async def __call__(self, call: Call, context: Context) -> Answer:
        query = dict(parse_qsl(call.query.decode("latin-1"), keep_blank_values=True))
        asked = {name: value for name, value in query.items() if name not in ("limit", "marker")}
        limit, marker = query.get("limit", str(PAGE)), query.get("marker", "")
        if not (limit.isascii() and limit.isdigit()):
            return await ask_any(SERVER, "", call, context)
        pods = context.pods.serving("compute")
        try:
            found = await together(self._read(pod, asked, call, context) for pod in pods)
        except _Refused:
            return await ask_any(SERVER, "", call, context)
        lost = [pod.pod_name for pod, rows in zip(pods, found, strict=True) if rows is None]
        if lost and context.refuses_to_omit(none=len(lost) == len(pods)):
            raise incomplete(lost)
        rows = sorted(
            (row for rows in found for row in rows or ()),
            key=lambda row: (row["tenant_id"], row["instance_id"]),
        )
        if marker:
            ids = [row["instance_id"] for row in rows]
            if marker not in ids:
                return await ask_any(SERVER, "", call, context)
            rows = rows[ids.index(marker) + 1 :]
        size = min(int(limit), PAGE)
        page = rows[:size]
        body = self._body(page, detailed=asked.get("detailed") == "1")
        if page and len(page) == size:
            href = context.link(query.items(), page[-1]["instance_id"])
            body[f"{self.key}_links"] = [{"rel": "next", "href": href}]
        return json_answer(200, body, ((UNAVAILABLE, ", ".join(lost).encode()),) if lost else ())

    async def _read(
        self, pod: Pod, asked: dict[str, str], call: Call, context: Context
    ) -> list[Row] | None:
        """The usage of each server in a pod, with its project's; None if it cannot be asked."""
        rows: list[Row] = []
        marker = ""
        while True:
            query = asked | {"detailed": "1"} | ({"marker": marker} if marker else {})
            sent = replace(below(call, context), query=urlencode(query).encode())
            if (answer := await context.heard(pod, sent)) is None:
                return None
            if not answer.ok:
                raise _Refused(answer)
            page, more = self._page(answer)
            rows += page
            if not more or not page:
                return rows
            marker = page[-1]["instance_id"]

    def _page(self, answer: Answer) -> tuple[list[Row], bool]:
        assert isinstance(answer.body, bytes)
        try:
            document = msgspec.json.decode(answer.body, type=dict[str, Any])
            said = document[self.key]
            parts = said if isinstance(said, list) else [said] if said else []
            about = ("tenant_id", "start", "stop")
            rows = [
                {**{name: part[name] for name in about}, **row}
                for part in parts
                for row in part["server_usages"]
            ]
        except (msgspec.MsgspecError, KeyError, TypeError):
            raise _Refused(Answer(502)) from None
        return rows, f"{self.key}_links" in document

    def _body(self, page: list[Row], *, detailed: bool) -> dict[str, Any]:
        projects = list(self._projects(page, detailed))
        if self.key == "tenant_usages":
            return {self.key: projects}
        return {self.key: projects[0] if projects else {}}

    def _projects(self, page: list[Row], detailed: bool) -> Iterator[Row]:
        for project, group in groupby(page, key=lambda row: row["tenant_id"]):
            rows = list(group)
            shown: Row = {
                "tenant_id": project,
                "total_hours": sum(row["hours"] for row in rows),
                "total_vcpus_usage": sum(row["vcpus"] * row["hours"] for row in rows),
                "total_memory_mb_usage": sum(row["memory_mb"] * row["hours"] for row in rows),
                "total_local_gb_usage": sum(row["local_gb"] * row["hours"] for row in rows),
                "start": rows[0]["start"],
                "stop": rows[0]["stop"],
            }
            if detailed:
                shown["server_usages"] = [
                    {name: value for name, value in row.items() if name not in ("start", "stop")}
                    for row in rows
                ]
            yield shown
