"""What pods have room for, asked as ourselves: soon, briefly kept, and never waited for long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from attrs import define, field, frozen

from trio2o.domain.errors import Fault
from trio2o.domain.tasks import Once
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.pods._own import OwnCalls, document
from trio2o.pods._pods import Pods

KEPT = 10.0
"""Seconds that flavors, and what is free in a pod, are believed."""

MANY = 10_000

T = TypeVar("T")


@define
class _Brief(Generic[T]):
    """Answers that are kept for a while, but not that there was none; whoever asks for one that is
    under way shares it."""

    clock: Any
    _kept: dict[Hashable, tuple[float, T]] = field(factory=dict)
    _asking: Once[Hashable, T] = field(factory=Once)

    async def get(self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, T]]) -> T:
        kept = self._kept.get(key)
        if kept is not None and kept[0] > self.clock.seconds():
            return kept[1]
        found = await self._asking.run(key, ask)
        if found is None:
            return found
        if len(self._kept) >= MANY:
            self._kept.clear()
        self._kept[key] = (self.clock.seconds() + KEPT, found)
        return found


@frozen
class Capacity:
    """Nothing here raises: what cannot be asked is None, and excludes no pod.

    `own_token` gives a token of ours, `seconds` is what one question may take.
    """

    clock: Any
    pods: Pods
    own_token: Callable[[], Awaitable[str]]
    seconds: float
    _brief: _Brief[Any] = field(init=False)

    @_brief.default
    def _make(self) -> _Brief[Any]:
        return _Brief(self.clock)

    async def flavor(self, id: str) -> dict[str, Any] | None:
        """A flavor with its `extra_specs`, as the first pod that answers has it."""

        async def ask() -> dict[str, Any] | None:
            for pod in self.pods.serving("compute"):
                status, body = await self._ask(
                    pod, "compute", f"/flavors/{id}", version=Version(2, 61)
                )
                if status == 200 and isinstance(body.get("flavor"), dict):
                    found: dict[str, Any] = body["flavor"]
                    return found
            return None

        flavor: dict[str, Any] | None = await self._brief.get(("flavor", id), ask)
        return flavor

    async def has_candidates(
        self, pod: Pod, query: Sequence[tuple[str, str]], zone: str = ""
    ) -> bool | None:
        """Whether the pod's Placement has a host for these resources and traits, in one of the
        pod's own AZs if that is named.

        It refuses resource classes and traits that it does not know: no host has them.
        """
        asked = [*query, *(await self._members(pod, zone) if zone else ()), ("limit", "1")]
        path = f"/allocation_candidates?{urlencode(asked)}"
        status, body = await self._ask(pod, "placement", path, version=Version(1, 33))
        if status == 400:
            return False
        found = body.get("allocation_requests")
        return bool(found) if status == 200 and isinstance(found, list) else None

    async def _members(self, pod: Pod, zone: str) -> list[tuple[str, str]]:
        """What narrows a question to the hosts of an AZ: Placement knows Nova's aggregates. Hosts
        that are in no AZ's aggregate are those of Nova's default one."""

        async def ask() -> dict[str, list[str]]:
            status, body = await self._ask(pod, "compute", "/os-aggregates", version=Version(2, 41))
            found: dict[str, list[str]] = {}
            rows = body.get("aggregates")
            for row in rows if status == 200 and isinstance(rows, list) else ():
                if named := row.get("availability_zone"):
                    found.setdefault(named, []).append(row["uuid"])
            return found

        aggregates: dict[str, list[str]] = await self._brief.get(("zones", pod.pod_id, zone), ask)
        if zone in aggregates:
            return [("member_of", "in:" + ",".join(aggregates[zone]))]
        others = [uuid for uuids in aggregates.values() for uuid in uuids]
        return [("member_of", "!in:" + ",".join(others))] if others else []

    async def free_memory(self, pod: Pod) -> float | None:
        """Which part of its hosts' memory is free, from 0 to 1."""

        async def ask() -> float | None:
            status, body = await self._ask(pod, "compute", "/os-hypervisors/statistics")
            told = body.get("hypervisor_statistics")
            if status != 200 or not isinstance(told, dict):
                return None
            return _share(told.get("free_ram_mb"), told.get("memory_mb"))

        free: float | None = await self._brief.get(("memory", pod.pod_id), ask)
        return free

    async def free_storage(self, pod: Pod) -> float | None:
        """Which part of its storage is free, from 0 to 1."""
        pools = await self._pools(pod, "")
        free = [pool.free for pool in pools or () if pool.total]
        return _share(sum(free), sum(pool.total for pool in pools or ()))

    async def has_storage(self, pod: Pod, size: float, volume_type: str = "") -> bool | None:
        """Whether one of the pools that a volume type (by its name) may use has so many GiB."""
        pools = await self._pools(pod, volume_type)
        return None if pools is None else any(pool.takes(size) for pool in pools)

    async def _pools(self, pod: Pod, volume_type: str) -> list[Pool] | None:
        async def ask() -> list[Pool] | None:
            query = {"detail": "true"} | ({"volume_type": volume_type} if volume_type else {})
            path = f"/scheduler-stats/get_pools?{urlencode(query)}"
            status, body = await self._ask(pod, "volume", path, version=Version(3, 35))
            rows = body.get("pools")
            if status != 200 or not isinstance(rows, list):
                return None
            return [Pool.of(row.get("capabilities") or {}) for row in rows if isinstance(row, dict)]

        pools: list[Pool] | None = await self._brief.get(("pools", pod.pod_id, volume_type), ask)
        return pools

    async def _ask(
        self, pod: Pod, service: str, path: str, version: Version | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON object of the pod's answer; 0 if there is none."""
        try:
            calls = OwnCalls(self.clock, self.pods, service, self.seconds, hurried=True)
            answer = await calls.send(pod, await self.own_token(), "GET", path, version=version)
            return answer.status, document(answer)
        except (Fault, KeyError):
            return 0, {}


@frozen
class Pool:
    """One pool of a pod's Cinder, in GiB. `total` and `free` are infinite where it says so."""

    total: float
    free: float

    @classmethod
    def of(cls, told: dict[str, Any]) -> Pool:
        """As Cinder's scheduler reckons: the reserve is taken off, and where a pool is thin what
        was promised counts, not what is used."""
        total = _number(told.get("total_capacity_gb"))
        free = _number(told.get("free_capacity_gb"))
        if UNLIMITED in (total, free):
            return cls(total, free)
        kept = total * _number(told.get("reserved_percentage"), 0.0) / 100
        ratio = _number(told.get("max_over_subscription_ratio"), 1.0)
        if told.get("thin_provisioning_support") is True:
            most = (total - kept) * ratio
            return cls(most, most - _number(told.get("provisioned_capacity_gb"), 0.0))
        return cls(total, free - kept)

    def takes(self, size: float) -> bool:
        return self.free >= size


UNLIMITED = float("inf")


def _number(value: Any, unknown: float = UNLIMITED) -> float:
    """A figure; Cinder also says "infinite" and "unknown", which keep nothing out."""
    try:
        return float(value) if not isinstance(value, bool) else unknown
    except (TypeError, ValueError):
        return unknown


def _share(free: Any, whole: Any) -> float | None:
    if not isinstance(free, (int, float)) or not isinstance(whole, (int, float)) or whole <= 0:
        return None
    return 1.0 if whole == UNLIMITED else min(max(free / whole, 0.0), 1.0)
