"""Routes: a bounded cache over the store, and the pods themselves for what neither knows."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from sys import intern
from typing import Any

import msgspec

from trio2o.domain.errors import Fault, PodUnavailable
from trio2o.domain.resources import Resource
from trio2o.domain.tasks import Once, together
from trio2o.domain.values import Caller, Pod, Route
from trio2o.message import Answer, Call
from trio2o.pods import Pods, Target
from trio2o.store import Store
from trio2o.store.routes import (
    bury_route,
    delete_route,
    find_route,
    live_routes,
    record_routes,
    routes_of,
)
from trio2o.store.sweeps import put_swept, swept

KEPT = 200_000
"""Routes in memory at most."""

MISSED = 3.0
"""Seconds for which an id that no pod knows is not looked for again."""

MISSES = 10_000

SHOWN = 1000
"""Rows of a down pod in a list at most, as many as Nova has in a page."""


class Routes:
    """Finds the pod of an id. What a pod made without us is looked for there and learned."""

    def __init__(
        self,
        clock: Any,
        now: Callable[[], float],
        store: Store,
        pods: Pods,
        service_token: Callable[[], Awaitable[str]],
    ) -> None:
        self._clock, self._now, self._store, self._pods = clock, now, store, pods
        self.own_token = service_token
        self._kept: OrderedDict[tuple[str, str], Route] = OrderedDict()
        self._missed: OrderedDict[tuple[str, str], dict[str, float]] = OrderedDict()
        self._probing: Once[tuple[str, str, str], Route | None] = Once()

    async def find(
        self, resource: Resource, id: str, caller: Caller, deadline: float
    ) -> Route | None:
        """The route of an id, a tombstone included, maybe without its details; None if no pod
        knows it.

        Raises `PodUnavailable` if it was not found and a pod could not be asked.
        """
        key = (resource.type, id)
        if route := self._kept.get(key):
            self._kept.move_to_end(key)
            if self._pods.get(route.pod_id):
                return route
            del self._kept[key]
        if not resource.well_formed(id):
            return None
        route = await self._store.read(lambda connection: find_route(connection, *key))
        if route is not None and self._pods.get(route.pod_id):
            self._keep(route)
            return route
        return await self._look(resource, id, caller, deadline)

    async def known(self, resource: Resource, id: str) -> Route | None:
        """The route of an id, a tombstone included, without asking any pod."""
        return await self._store.read(lambda c: find_route(c, resource.type, id))

    async def again(self, route: Route) -> Route | None:
        """The route of an id as the store has it now, if another process changed it; else None.

        For when a pod says that it does not have what it was asked for, or says nothing.
        """
        found = await self._store.read(lambda c: find_route(c, route.type, route.top_id))
        if found is None or (found.pod_id, found.deleted_at) == (route.pod_id, route.deleted_at):
            return None
        self._keep(found)
        return found

    async def swept(self, pod_id: str, kind: str) -> float | None:
        """When a sweep of a kind of things in a pod began last, in seconds since 1970."""
        return await self._store.read(lambda c: swept(c, pod_id, kind))

    async def put_swept(self, pod_id: str, kind: str, seen: float) -> None:
        await self._store.write(lambda c: put_swept(c, pod_id, kind, seen))

    async def remove(self, type: str, top_id: str) -> None:
        """Forget that an id was ever known: it is looked for again."""
        await self._store.write(lambda connection: delete_route(connection, type, top_id))
        self._kept.pop((type, top_id), None)
        self._missed.pop((type, top_id), None)

    async def _look(
        self, resource: Resource, id: str, caller: Caller, deadline: float
    ) -> Route | None:
        # what one project cannot see another may: misses are remembered apart
        key = (resource.type, id, caller.project_id)
        missed = self._missed.get(key[:2], {})
        if missed.get(caller.project_id, 0.0) > self._clock.seconds():
            return None
        return await self._probing.run(key, lambda: self._probe(resource, id, caller, deadline))

    async def _probe(
        self, resource: Resource, id: str, caller: Caller, deadline: float
    ) -> Route | None:
        """Ask every pod for the id, as the caller; learn who has it."""
        pods = self._pods.serving(resource.service)
        # the caller's own call passed its access rules; this one is ours, hence the service token
        service_token = await self.own_token()
        answers = await together(
            self._ask(pod, resource, id, caller, service_token, deadline) for pod in pods
        )
        for pod, answer in zip(pods, answers, strict=True):
            if isinstance(answer, Answer) and answer.ok:
                shown = _shown(answer, resource, id) or {}
                project = _project(shown, resource, caller)
                details = details_of(resource, shown)
                route = Route(resource.type, id, pod.pod_id, id, project, details=details)
                await self.learn([route])
                return route
        for answer in answers:
            if isinstance(answer, Fault):
                raise answer
        missed = self._missed.setdefault((resource.type, id), {})
        missed[caller.project_id] = self._clock.seconds() + MISSED
        while len(self._missed) > MISSES:
            self._missed.popitem(last=False)
        return None

    async def _ask(
        self,
        pod: Pod,
        resource: Resource,
        id: str,
        caller: Caller,
        service_token: str,
        deadline: float,
    ) -> Answer | Fault:
        headers = (
            (b"X-Auth-Token", caller.token.encode()),
            (b"X-Service-Token", service_token.encode()),
            (b"Accept", b"application/json"),
            *resource.headers,
        )
        path = resource.probe or resource.path(id)
        call = Call("GET", path.encode(), headers=headers)
        target = Target(resource.service, caller.project_id)
        try:
            answer = await self._pods.send(pod, target, call, deadline)
        except Fault as fault:
            return fault
        if answer.status >= 500:
            return PodUnavailable(pod.pod_name, f"status {answer.status}")
        if not answer.ok:
            return answer
        shown = _shown(answer, resource, id)
        if shown is None or not (shown or resource.probe):
            return PodUnavailable(pod.pod_name, "what it shows is nothing")
        return answer if shown else Answer(404)

    async def learn(self, found: Sequence[Route]) -> None:
        """Record routes durably."""
        await self._store.add(record_routes, found)
        for route in found:
            self._keep(route)
            self._missed.pop((route.type, route.top_id), None)

    async def note(self, resource: Resource, pod: Pod, rows: Iterable[Mapping[str, Any]]) -> None:
        """Learn what a pod showed, as far as it is new: that it is there, and its details."""
        if not resource.details:
            return
        found = []
        for shown in rows:
            id = str(shown["id"])
            kept = self._kept.get((resource.type, id))
            if not self.has_all(resource, id):
                details = details_of(resource, shown)
                project = next((shown[key] for key in resource.project if shown.get(key)), "")
                route = Route(resource.type, id, pod.pod_id, id, project, details=details)
                if kept is None or kept.seen != _seen(details):
                    found.append(route)
        if found:
            await self.learn(found)

    def has_all(self, resource: Resource, id: str) -> bool:
        """Whether a showing of the thing would tell nothing new."""
        kept = self._kept.get((resource.type, id))
        return kept is not None and bool(kept.seen & _WHOLE)

    async def of_pod(
        self, resource: Resource, pod: Pod, project_id: str | None
    ) -> tuple[Route, ...]:
        """What is known to live in a pod, of a project or of all (None)."""
        return await self._store.read(
            lambda c: routes_of(c, resource.type, pod.pod_id, project_id, SHOWN)
        )

    async def forget(self, route: Route) -> None:
        """Leave a tombstone: the thing is gone from its pod (and not known to be in another)."""
        if route.deleted_at:
            return
        gone = datetime.fromtimestamp(self._now(), UTC).isoformat(timespec="seconds")
        await self._store.write(lambda c: bury_route(c, route, gone))
        self._kept.pop((route.type, route.top_id), None)

    async def sweep(
        self, pod: Pod, resources: dict[str, Resource], caller: Caller, deadline: float
    ) -> int:
        """Ask a pod for what the routes say it has; how many of them still stand.

        What cannot be asked counts as standing. `caller` sees all projects (our own user).
        """
        routes = await self._store.read(lambda c: live_routes(c, pod.pod_id, 1000))
        standing = 0
        for route in routes:
            resource = resources.get(route.type)
            if resource is None:
                standing += 1
                continue
            answer = await self._ask(pod, resource, route.bottom_id, caller, caller.token, deadline)
            if isinstance(answer, Answer) and answer.status == 404:
                await self.forget(route)
            else:
                standing += 1
        return standing

    def _keep(self, route: Route) -> None:
        """In memory are only those that live: another process may raise what is a tombstone.

        There are many: what one has in common with others is one object, and `details`, which are
        ten times the rest, are in the store alone.
        """
        key = (intern(route.type), route.top_id)
        if route.deleted_at:
            self._kept.pop(key, None)
            return
        old, id = self._kept.get(key), route.top_id
        seen = _seen(route.details) or (old.seen if old is not None else 0)
        pod_id, project_id = intern(route.pod_id), intern(route.project_id)
        bottom_id = id if route.bottom_id == id else route.bottom_id
        self._kept[key] = Route(key[0], id, pod_id, bottom_id, project_id, seen=seen)
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def look_again(self) -> None:
        """A pod was added: it may have what no pod had before."""
        self._missed.clear()

    def drop_pod(self, pod_id: str) -> None:
        """Forget all that is in memory of a pod that was removed."""
        for key in [key for key, route in self._kept.items() if route.pod_id == pod_id]:
            del self._kept[key]


def details_of(resource: Resource, shown: Mapping[str, Any]) -> str:
    """What of a thing is kept for when its pod is down, as JSON ('' for nothing)."""
    kept = {name: shown[name] for name in resource.details if name in shown}
    return msgspec.json.encode(kept).decode() if kept else ""


_WHOLE = 1


def _seen(details: str) -> int:
    """`Route.seen` of these: `_WHOLE` is set if there is nothing to add (only from 2.47 on is a
    flavor told by what it is)."""
    return hash(details) & ~_WHOLE | ('"original_name"' in details) if details else 0


def _shown(answer: Answer, resource: Resource, id: str) -> dict[str, Any] | None:
    """The thing that a pod showed; empty if its list has none, None if what came is nothing."""
    assert isinstance(answer.body, bytes)
    try:
        if not resource.probe:
            return msgspec.json.decode(answer.body, type=dict[str, dict[str, Any]])[resource.key]
        kind = dict[str, list[dict[str, Any]]]
        listed = msgspec.json.decode(answer.body, type=kind)[resource.rows]
    except (msgspec.MsgspecError, KeyError):
        return None
    return next((row for row in listed if row.get("id") == id), {})


def _project(shown: dict[str, Any], resource: Resource, caller: Caller) -> str:
    """The project that owns a thing (Cinder's volumes name it in a key of their own)."""
    return next((shown[key] for key in resource.project if shown.get(key)), caller.project_id)
