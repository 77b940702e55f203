"""Server groups: made in a pod when they are first needed there, one id for the tenant.

The pod that made a group first gave it its id; other pods have counterparts with ids of their own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from txaio.tx import make_logger

from trio2o.domain.errors import Fault, PodUnavailable
from trio2o.domain.tasks import Once, together
from trio2o.domain.values import Pod, ServerGroup
from trio2o.domain.versions import Version
from trio2o.pods import OwnCalls, Pods, document
from trio2o.reconcile import Counted
from trio2o.store import Store
from trio2o.store import server_groups as rows

log = make_logger()

PATH = "/os-server-groups"
ONE_POLICY = Version(2, 64)
"""From here on a group has one policy, and rules."""


class ServerGroups:
    """Finds, records and materialises groups. As a reconciler: takes deleted ones from the pods."""

    name = "server_groups"

    def __init__(
        self,
        clock: Any,
        now: Callable[[], str],
        store: Store,
        pods: Pods,
        own_token: Callable[[str], Awaitable[str]],
    ) -> None:
        """`own_token` gives a token of ours for a project: a group is its token's project's."""
        self._now, self._store, self._pods = now, store, pods
        self._calls = OwnCalls(clock, pods)
        self._own_token = own_token
        self._making: Once[tuple[str, str], str] = Once()
        self.tops: dict[str, str] = {}

    async def load(self) -> None:
        """Read which ids in pods are not the tenants'."""
        found = await self._store.read(rows.renamed)
        self.tops.clear()
        self.tops.update(found)

    async def find(self, id: str) -> ServerGroup | None:
        found = await self._store.read(lambda c: rows.find_group(c, id))
        return found if found and not found.deleted_at else None

    async def of_project(self, project_id: str | None) -> tuple[ServerGroup, ...]:
        """A project's groups (None: all), oldest first."""
        return await self._store.read(lambda c: rows.list_groups(c, project_id))

    async def created(self, pod: Pod, group: ServerGroup) -> None:
        """Record what a pod made, durably."""

        def put(connection: Any) -> None:
            rows.put_group(connection, group)
            rows.put_counterpart(connection, group.id, pod.pod_id, group.id)

        await self._store.write(put)

    async def in_pods(self, group: ServerGroup) -> dict[Pod, str]:
        """The pods that have the group, and its id there."""
        found = await self._store.read(lambda c: rows.counterparts(c, group.id))
        pods = {pod_id: self._pods.get(pod_id) for pod_id in found}
        return {pod: found[pod_id] for pod_id, pod in pods.items() if pod is not None}

    async def members(self, group: ServerGroup, token: str) -> dict[Pod, list[str]]:
        """The servers of the group in each pod that answers, as the holder of a token sees them."""
        places = await self.in_pods(group)

        async def ask(pod: Pod, id: str) -> list[str]:
            try:
                answer = await self._calls.ask(pod, token, "GET", f"{PATH}/{id}")
                return list(document(answer)["server_group"]["members"])
            except (Fault, KeyError, TypeError):
                return []

        told = await together(ask(pod, id) for pod, id in places.items())
        return dict(zip(places, told, strict=True))

    async def materialise(self, group: ServerGroup, pod: Pod) -> str:
        """The group's id in a pod; it is made there if it is not. Raises `Fault`."""
        places = await self.in_pods(group)
        if pod in places:
            return places[pod]
        key = (group.id, pod.pod_id)
        return await self._making.run(key, lambda: self._make(group, pod))

    async def _make(self, group: ServerGroup, pod: Pod) -> str:
        wish: dict[str, Any] = {"name": group.name}
        if self._pods.speaks(pod, "compute", ONE_POLICY):
            wish["policy"] = group.policy
            if rules := msgspec.json.decode(group.rules):
                wish["rules"] = rules
            version: Version = ONE_POLICY
        else:
            wish["policies"] = [group.policy]
            version = Version(2, 15)
        token = await self._own_token(group.project_id)
        answer = await self._calls.ask(
            pod, token, "POST", PATH, {"server_group": wish}, version=version
        )
        try:
            bottom = str(document(answer)["server_group"]["id"])
        except (KeyError, TypeError):
            raise PodUnavailable(pod.pod_name, "what it made is no server group") from None
        await self._store.write(lambda c: rows.put_counterpart(c, group.id, pod.pod_id, bottom))
        self.tops[bottom] = group.id
        return bottom

    async def delete(self, group: ServerGroup, token: str) -> None:
        """Delete it here, then in the pods that answer; the others follow."""
        now = self._now()
        await self._store.write(lambda c: rows.delete_group(c, group.id, now))
        await self._clear(group, token)

    async def _clear(self, group: ServerGroup, token: str) -> bool:
        """Take a deleted group from its pods; whether it is gone from all."""
        left = False
        for pod, id in (await self.in_pods(group)).items():
            try:
                await self._calls.ask(pod, token, "DELETE", f"{PATH}/{id}", fine=(404,))
            except Fault as fault:
                left = True
                log.warn("pod {pod}: a server group: {why}", pod=pod.pod_name, why=fault.message)
                continue
            gone = pod.pod_id
            await self._store.write(lambda c, gone=gone: rows.drop_counterpart(c, group.id, gone))  # type: ignore[misc]
            self.tops.pop(id, None)
        if not left:
            await self._store.write(lambda c: rows.forget_group(c, group.id))
        return not left

    async def run(self) -> Counted:
        """What was deleted while a pod was down goes from it."""
        counted = Counted()
        for group in await self._store.read(lambda c: rows.list_groups(c, None, deleted=True)):
            counted.looked += 1
            counted.drift += 1
            if await self._clear(group, await self._own_token(group.project_id)):
                counted.mended += 1
            else:
                counted.failed += 1
        return counted
