"""The sweep: what was made or deleted in the pods without us is known within its interval."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import msgspec
from attrs import frozen
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


@frozen
class Swept:
    """A kind of thing that is swept.

    `version` is asked of pods that speak it. `since` is the query parameter for what changed, its
    value with `{}` for the moment; where it is not `always` known, a pod that lacks the version is
    asked for everything. Rows whose status is DELETED are gone.
    """

    resource: Resource
    version: Version
    since: tuple[str, str]
    always: bool = False


class Sweep:
    """Asks each pod for all things that changed since the last pass. A reconciler."""

    name = "routes"

    def __init__(
        self,
        clock: Any,
        now: Callable[[], float],
        routes: Routes,
        pods: Pods,
        kinds: Sequence[Swept],
        own_token: Callable[[], Awaitable[str]],
    ) -> None:
        """`own_token` gives one that sees all projects."""
        self._clock, self._now, self._routes, self._pods = clock, now, routes, pods
        self._kinds, self._own_token = kinds, own_token

    async def run(self) -> Counted:
        """One pass over all pods that answer. Drift is what was not known."""
        counted = Counted()
        await together(
            self._pod(pod, kind, counted)
            for kind in self._kinds
            for pod in self._pods.serving(kind.resource.service)
            if not self._pods.is_down(pod, kind.resource.service)
        )
        return counted

    async def _pod(self, pod: Pod, kind: Swept, counted: Counted) -> None:
        begun, key = self._now(), (pod.pod_id, kind.resource.type)
        try:
            await self._pages(pod, kind, await self._routes.swept(*key), counted)
        except Fault as fault:
            counted.failed += 1
            log.warn(
                "pod {pod}: a sweep of its {rows}: {why}",
                pod=pod.pod_name,
                rows=kind.resource.rows,
                why=str(fault),
            )
            return
        await self._routes.put_swept(*key, begun)

    async def _pages(self, pod: Pod, kind: Swept, since: float | None, counted: Counted) -> None:
        marker = ""
        speaks = self._pods.speaks(pod, kind.resource.service, kind.version)
        while True:
            query = {"all_tenants": "1", "limit": str(PAGE)}
            if since is not None and (speaks or kind.always):
                moment = datetime.fromtimestamp(since - OVERLAP, UTC)
                name, value = kind.since
                query[name] = value.format(moment.strftime("%Y-%m-%dT%H:%M:%SZ"))
            rows = await self._page(pod, kind, query | ({"marker": marker} if marker else {}))
            for row in rows:
                counted.looked += 1
                changed = await self._take(pod, kind.resource, row)
                counted.drift += changed
                counted.mended += changed
            if len(rows) < PAGE:
                return
            marker = str(rows[-1]["id"])

    async def _take(self, pod: Pod, resource: Resource, row: dict[str, Any]) -> bool:
        """Learn of a thing, or that it is gone; whether that was new."""
        id = str(row["id"])
        known = await self._routes.known(resource, id)
        if row.get("status") == "DELETED":
            if known is None or known.deleted_at or known.pod_id != pod.pod_id:
                return False
            await self._routes.forget(known)
            return True
        project = next((str(row[key]) for key in resource.project if row.get(key)), "")
        stands = known is not None and not known.deleted_at and known.pod_id == pod.pod_id
        if stands and known is not None and project and known.project_id != project:
            stands = False
        if not stands:
            await self._routes.learn([Route(resource.type, id, pod.pod_id, id, project)])
        await self._routes.note(resource, pod, [row])
        return not stands

    async def _page(self, pod: Pod, kind: Swept, query: dict[str, str]) -> list[dict[str, Any]]:
        token, resource = await self._own_token(), kind.resource
        headers = [(b"X-Auth-Token", token.encode()), (b"Accept", b"application/json")]
        if self._pods.speaks(pod, resource.service, kind.version):
            headers.append(
                (b"OpenStack-API-Version", f"{resource.service} {kind.version}".encode())
            )
        path = f"{resource.collection}/detail".encode()
        call = Call("GET", path, urlencode(query).encode(), tuple(headers))
        deadline = self._clock.seconds() + SECONDS
        target = Target(resource.service, "")
        return _rows(pod, await self._pods.send(pod, target, call, deadline), resource)


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
