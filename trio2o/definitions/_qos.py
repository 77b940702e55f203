"""QoS specs and projects' default types: definitions that name volume types."""

from urllib.parse import quote

from attrs import evolve

from trio2o.definitions._kind import Document, Step
from trio2o.definitions._listed import Listed
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version

_SPEC = "/qos-specs/{id}"


class QosSpecs(Listed):
    """Name, consumer, specs, and the volume types that they are for (by the tenants' ids)."""

    name, service = "qos_spec", "volume"
    taken = "QoS Specs {name} already exists."
    path = listing = "/qos-specs"
    key = rows = "qos_specs"

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        path = f"/qos-specs/{shown['id']}/associations"
        told = await self._reads.get(pod, path, (404,))
        tops = self._places("volume_type").tops
        types = [tops.get(row["id"], row["id"]) for row in told.get("qos_associations", ())]
        plain = {name: shown.get(name) for name in ("name", "consumer", "specs")}
        return plain | {"types": sorted(types)}

    def in_pod(self, wanted: Document, pod: Pod) -> Document:
        """A type that is not in the pod yet is put to it by a later pass."""
        ids = self._places("volume_type").ids_in(pod)
        return wanted | {"types": [top for top in wanted["types"] if top in ids], "ids": ids}

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        if wanted is None:
            return () if seen is None else (Step("DELETE", f"{_SPEC}?force=True", fine=404),)
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


class DefaultTypes(Listed):
    """The volume type that a project's volumes have where they name none; by the project's id."""

    name, service, version = "default_type", "volume", DEFAULTS
    taken = "Project {key} has another default type in a pod."
    path = listing = _DEFAULT
    key, rows, id = "default_type", "default_types", "project_id"

    async def observe(self, pod: Pod) -> dict[str, Document]:
        speaks = self._pods.speaks(pod, self.service, DEFAULTS)
        return await super().observe(pod) if speaks else {}

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        rows, id = await self.observe(pod), id or str(wanted.get("project", ""))
        return (id, rows[id]) if id in rows else None

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        type = shown["volume_type_id"]
        tops = self._places("volume_type").tops
        return {"project": shown["project_id"], "type": tops.get(type, type)}

    def in_pod(self, wanted: Document, pod: Pod) -> Document | None:
        ids = self._places("volume_type").ids_in(pod)
        return wanted | {"id": ids[wanted["type"]]} if wanted["type"] in ids else None

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        step: Step | None = None
        if wanted is None:
            step = (
                None if seen is None else Step("DELETE", f"{_DEFAULT}/{seen['project']}", fine=404)
            )
        elif seen is None or seen["type"] != wanted["type"]:
            told = {"default_type": {"volume_type": wanted["id"]}}
            step = Step("PUT", f"{_DEFAULT}/{wanted['project']}", told)
        return (evolve(step, version=DEFAULTS),) if step else ()
