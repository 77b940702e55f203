"""The sweep: what was made or deleted in the pods without us is known within its interval."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from txaio.tx import make_logger

from trio2o.domain.errors import Fault, PodUnavailable
from trio2o.domain.resources import Resource
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod, Route
from trio2o.domain.versions import Version
from trio2o.message import Answer, Call
from trio2o.pods import Pods, Target
from trio2o.reconcile import Counted
from trio2o.routes._routes import Routes

log = make_logger()

PAGE = 1000
SECONDS = 60.0
"""What one page may take."""

OVERLAP = 60.0
"""Seconds that a pass looks back behind the last: pods' clocks differ."""

VERSION = Version(2, 71)
"""Tells a flavor by what it is, and a server's groups."""


class Sweep:
    """Asks each pod for all servers that changed since the last pass. A reconciler."""

    name = "routes"

    def __init__(
        self,
        clock: Any,
        now: Callable[[], float],
        routes: Routes,
        pods: Pods,
        server: Resource,
        own_token: Callable[[], Awaitable[str]],
    ) -> None:
        self._clock, self._now, self._routes, self._pods = clock, now, routes, pods
        self._server, self._own_token = server, own_token

    async def run(self) -> Counted:
        """One pass over all pods that answer. Drift is what was not known."""
        counted = Counted()
        up = [p for p in self._pods.serving("compute") if not self._pods.is_down(p, "compute")]
        await together(self._pod(pod, counted) for pod in up)
        return counted

    async def _pod(self, pod: Pod, counted: Counted) -> None:
        begun, key = self._now(), (pod.pod_id, self._server.type)
        try:
            await self._pages(pod, await self._routes.swept(*key), counted)
        except Fault as fault:
            counted.failed += 1
            log.warn("pod {pod}: a sweep of its servers: {why}", pod=pod.pod_name, why=str(fault))
            return
        await self._routes.put_swept(*key, begun)

    async def _pages(self, pod: Pod, since: float | None, counted: Counted) -> None:
        marker = ""
        while True:
            query = {"all_tenants": "1", "limit": str(PAGE)}
            if since is not None:
                moment = datetime.fromtimestamp(since - OVERLAP, UTC)
                query["changes-since"] = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
            rows = await self._page(pod, query | ({"marker": marker} if marker else {}))
            for row in rows:
                counted.looked += 1
                changed = await self._take(pod, row)
                counted.drift += changed
                counted.mended += changed
            if len(rows) < PAGE:
                return
            marker = str(rows[-1]["id"])

    async def _take(self, pod: Pod, row: dict[str, Any]) -> bool:
        """Learn of a server, or that it is gone; whether that was new."""
        id = str(row["id"])
        known = await self._routes.known(self._server, id)
        if row.get("status") == "DELETED":
            if known is None or known.deleted_at or known.pod_id != pod.pod_id:
                return False
            await self._routes.forget(known)
            return True
        stands = known is not None and not known.deleted_at and known.pod_id == pod.pod_id
        if stands and known is not None and known.project_id != row.get("tenant_id"):
            stands = False
        if not stands:
            project = str(row.get("tenant_id", ""))
            await self._routes.learn([Route(self._server.type, id, pod.pod_id, id, project)])
        await self._routes.note(self._server, pod, [msgspec.json.encode(row)])
        return not stands

    async def _page(self, pod: Pod, query: dict[str, str]) -> list[dict[str, Any]]:
        token = await self._own_token()
        headers = [(b"X-Auth-Token", token.encode()), (b"Accept", b"application/json")]
        if self._pods.speaks(pod, "compute", VERSION):
            headers.append((b"OpenStack-API-Version", f"compute {VERSION}".encode()))
        path = f"{self._server.collection}/detail".encode()
        call = Call("GET", path, urlencode(query).encode(), tuple(headers))
        deadline = self._clock.seconds() + SECONDS
        answer = await self._pods.send(pod, Target("compute", ""), call, deadline)
        return _rows(pod, answer, self._server)


def _rows(pod: Pod, answer: Answer, resource: Resource) -> list[dict[str, Any]]:
    """Raises `PodUnavailable` for what is no list."""
    assert isinstance(answer.body, bytes)
    try:
        kind = list[dict[str, Any]]
        document = msgspec.json.decode(answer.body, type=dict[str, msgspec.Raw])
        rows = msgspec.json.decode(document[resource.rows], type=kind) if answer.ok else None
    except (msgspec.MsgspecError, KeyError):
        rows = None
    if rows is None or not all("id" in row for row in rows):
        raise PodUnavailable(pod.pod_name, f"its list is none (status {answer.status})")
    return rows
