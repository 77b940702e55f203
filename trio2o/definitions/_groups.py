"""Server groups: made in a pod when they are first needed there, one id for the tenant.

The pod that made a group first gave it its id; other pods have counterparts with ids of their own.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from trio2o.definitions._kind import Document, Step, canonical
from trio2o.definitions._own import Means, Reads
from trio2o.definitions._places import Places, count
from trio2o.domain.errors import Fault, PodUnavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Definition, Pod, Settled
from trio2o.domain.versions import Version
from trio2o.pods import document
from trio2o.reconcile import Counted
from trio2o.store import definitions as rows

KIND = "server_group"
PATH = "/os-server-groups"

POLICIES = Version(2, 15)
ONE_POLICY = Version(2, 64)
"""From here on a group has one policy, and rules."""


class _InPods:
    """A group in a pod. It never changes; names are not unique, so only its id finds it."""

    name, service = KIND, "compute"

    def __init__(self, means: Means) -> None:
        self._pods, self._reads = means.pods, Reads(means, "compute")

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        shown = await self._reads.get(pod, f"{PATH}/{id}", (404,)) if id else {}
        return (id, {}) if "server_group" in shown else None

    def in_pod(self, wanted: Document, pod: Pod) -> Document:
        return wanted | {"one_policy": self._pods.speaks(pod, "compute", ONE_POLICY)}

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        """It is made with a token of its project: a group is its token's project's."""
        if wanted is None:
            return () if seen is None else (Step("DELETE", f"{PATH}/{{id}}", fine=404),)
        if seen is not None:
            return ()
        group: Document = {"name": wanted["name"], "policies": [wanted["policy"]]}
        version = POLICIES
        if wanted["one_policy"]:
            group, version = {name: wanted[name] for name in ("name", "policy")}, ONE_POLICY
            group |= {"rules": wanted["rules"]} if wanted["rules"] else {}
        project, told = wanted["project_id"], {"server_group": group}
        return (Step("POST", PATH, told, version, makes="server_group", project=project),)


class ServerGroups:
    """Finds, records and materialises groups. As a reconciler: takes deleted ones from the pods."""

    name = "server_groups"

    def __init__(self, means: Means) -> None:
        self._now, self._store, self._pods = means.now, means.store, means.pods
        self._calls = means.calls("compute")
        self.places = Places(means, _InPods(means))

    async def find(self, id: str) -> Definition | None:
        found = await self.places.known(id)
        return found if found and not found.deleted_at else None

    async def of_project(self, project_id: str | None) -> tuple[Definition, ...]:
        """A project's groups (None: all), oldest first."""
        find = partial(rows.list_definitions, kind=KIND, owner=project_id, deleted=False)
        return await self._store.read(find)

    async def created(self, pod: Pod, id: str, group: Document) -> None:
        """Record what a pod made, durably."""
        text, owner = canonical(group), group["project_id"]

        def put(connection: Any) -> None:
            made = rows.record_definition(connection, KIND, id, text, owner=owner)
            told = Settled(KIND, id, pod.pod_id, made.version, bottom_id=id)
            rows.put_settled(connection, [told])

        await self._store.write(put)

    async def members(self, id: str, token: str) -> dict[Pod, list[str]]:
        """The servers of a group in each pod that answers, as the holder of a token sees them."""
        told = await self.places.settled(id)
        places = [
            (pod, one.bottom_id)
            for one in told.values()
            if one.bottom_id and (pod := self._pods.get(one.pod_id))
        ]

        async def ask(pod: Pod, id: str) -> tuple[Pod, list[str]]:
            try:
                answer = await self._calls.ask(pod, token, "GET", f"{PATH}/{id}")
                return pod, list(document(answer)["server_group"]["members"])
            except (Fault, KeyError, TypeError):
                return pod, []

        return dict(await together(ask(pod, id) for pod, id in places))

    async def materialise(self, id: str, pod: Pod) -> str:
        """The group's id in a pod; it is made there if it is not. Raises `Fault`."""
        problem, bottom = await self.places.bring(id, pod)
        if problem:
            raise PodUnavailable(pod.pod_name, f"server group {id}: {problem}")
        return bottom

    async def delete(self, group: Definition) -> None:
        """Delete it here, then in the pods that answer; the others follow."""
        id, text, now = group.key, group.document, self._now()
        await self._store.write(lambda c: rows.record_definition(c, KIND, id, text, now))
        await self._clear(id, Counted())

    async def _clear(self, id: str, counted: Counted) -> None:
        for outcome in (await self.places.try_all(id, self.places.up())).values():
            count(counted, outcome)
        await self.places.bury(id)

    async def run(self) -> Counted:
        """What was deleted while a pod was down goes from it."""
        counted = Counted()
        gone = partial(rows.list_definitions, kind=KIND, deleted=True)
        for group in await self._store.read(gone):
            await self._clear(group.key, counted)
        return counted
