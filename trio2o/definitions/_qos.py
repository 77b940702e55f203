"""QoS specs and projects' default types: definitions that name volume types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote

from attrs import evolve

from trio2o.definitions._cinder import Cinders
from trio2o.definitions._kind import Document, Step
from trio2o.definitions._places import Places
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.pods import Pods

_SPEC = "/qos-specs/{id}"


class QosSpecs:
    """Name, consumer, specs, and the volume types that they are for (by the tenants' ids)."""

    name, service, adopts = "qos_spec", "volume", True
    taken = "QoS Specs {name} already exists."

    def __init__(
        self,
        clock: Any,
        pods: Pods,
        own_token: Callable[[], Awaitable[str]],
        types: Callable[[], Places],
    ) -> None:
        """`types` gives the places of volume types."""
        self._cinders, self._types = Cinders(clock, pods, own_token), types

    async def observe(self, pod: Pod) -> dict[str, Document]:
        shown = await self._cinders.all(pod, "/qos-specs", "qos_specs", "qos_specs_links")
        found = await together(self._whole(pod, one) for one in shown)
        return {one["id"]: whole for one, whole in zip(shown, found, strict=True)}

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        if id:
            shown = await self._cinders.one(pod, "/qos-specs", "qos_specs", id)
        else:
            names = ("qos_specs", "qos_specs_links")
            shown = await self._cinders.named(pod, "/qos-specs", *names, wanted)
        return (shown["id"], await self._whole(pod, shown)) if shown else None

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        path = f"/qos-specs/{shown['id']}/associations"
        told = await self._cinders.get(pod, path, (404,))
        tops = self._types().tops
        types = [tops.get(row["id"], row["id"]) for row in told.get("qos_associations", ())]
        plain = {name: shown.get(name) for name in ("name", "consumer", "specs")}
        return plain | {"types": sorted(types)}

    def in_pod(self, wanted: Document, pod: Pod) -> Document:
        """A type that is not in the pod yet is put to it by a later pass."""
        ids = self._types().ids_in(pod)
        return wanted | {"types": [top for top in wanted["types"] if top in ids], "ids": ids}

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        if wanted is None:
            return () if seen is None else (Step("DELETE", f"{_SPEC}?force=True", gone=True),)
        bare: Document = {"consumer": wanted["consumer"], "specs": wanted["specs"], "types": []}
        steps = []
        if seen is None:
            fields = {"name": wanted["name"], "consumer": wanted["consumer"], **wanted["specs"]}
            steps.append(Step("POST", "/qos-specs", {"qos_specs": fields}, makes="qos_specs"))
        have, ids = seen or bare, wanted["ids"]
        changed: Document = {
            key: value for key, value in wanted["specs"].items() if have["specs"].get(key) != value
        }
        if have["consumer"] != wanted["consumer"]:
            changed["consumer"] = wanted["consumer"]
        if changed:
            steps.append(Step("PUT", _SPEC, {"qos_specs": changed}))
        if gone := sorted(set(have["specs"]) - set(wanted["specs"])):
            steps.append(Step("PUT", f"{_SPEC}/delete_keys", {"keys": gone}))
        for word, left, right in (("disassociate", have, wanted), ("associate", wanted, have)):
            for top in sorted(set(left["types"]) - set(right["types"])):
                query = f"vol_type_id={quote(ids.get(top, top))}"
                steps.append(Step("GET", f"{_SPEC}/{word}?{query}"))
        return tuple(steps)


DEFAULTS = Version(3, 62)
"""From here on a project may have a default type of its own."""

_DEFAULT = "/default-types"


class DefaultTypes:
    """The volume type that a project's volumes have where they name none; by the project's id."""

    name, service, adopts = "default_type", "volume", True
    taken = "Project {key} has another default type in a pod."

    def __init__(
        self,
        clock: Any,
        pods: Pods,
        own_token: Callable[[], Awaitable[str]],
        types: Callable[[], Places],
    ) -> None:
        self._cinders, self._types = Cinders(clock, pods, own_token, DEFAULTS), types
        self._pods = pods

    async def observe(self, pod: Pod) -> dict[str, Document]:
        if not self._pods.speaks(pod, self.service, DEFAULTS):
            return {}
        told = await self._cinders.get(pod, "/default-types")
        tops = self._types().tops
        return {
            row["project_id"]: {
                "project": row["project_id"],
                "type": tops.get(row["volume_type_id"], row["volume_type_id"]),
            }
            for row in told.get("default_types", ())
        }

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        rows, id = await self.observe(pod), id or str(wanted.get("project", ""))
        return (id, rows[id]) if id in rows else None

    def in_pod(self, wanted: Document, pod: Pod) -> Document | None:
        ids = self._types().ids_in(pod)
        return wanted | {"id": ids[wanted["type"]]} if wanted["type"] in ids else None

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        step: Step | None = None
        if wanted is None:
            step = (
                None if seen is None else Step("DELETE", f"{_DEFAULT}/{seen['project']}", gone=True)
            )
        elif seen is None or seen["type"] != wanted["type"]:
            told = {"default_type": {"volume_type": wanted["id"]}}
            step = Step("PUT", f"{_DEFAULT}/{wanted['project']}", told)
        return (evolve(step, version=DEFAULTS),) if step else ()
