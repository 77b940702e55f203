"""Flavors as definitions: the id is the tenants' in every pod."""

from urllib.parse import quote

from trio2o.definitions._kind import Document, Step
from trio2o.definitions._listed import Listed, access_steps, specs_steps
from trio2o.domain.errors import PodUnavailable
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version

DESCRIBED = Version(2, 55)
WITH_SPECS = Version(2, 61)
"""From here on a flavor is shown with its extra specs."""

_NAMES = {
    "id": "id",
    "name": "name",
    "ram": "ram",
    "vcpus": "vcpus",
    "disk": "disk",
    "ephemeral": "OS-FLV-EXT-DATA:ephemeral",
    "swap": "swap",
    "rxtx_factor": "rxtx_factor",
    "is_public": "os-flavor-access:is_public",
}
"""What cannot be changed once a flavor is made, and Nova's names of it."""

_SPECS, _ACTION = "/flavors/{id}/os-extra_specs", "/flavors/{id}/action"


class Flavors(Listed):
    """Sizes, description, extra specs, and the projects that may use a private one."""

    name, service, version = "flavor", "compute", WITH_SPECS
    taken = "Flavor with ID {key} already exists."
    path, listing = "/flavors", "/flavors/detail?is_public=None"
    key, rows = "flavor", "flavors"

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        """The id is the same everywhere; without it its name may be taken."""
        return await super().look(pod, id or wanted["id"], {}) or (
            None if id else await super().look(pod, "", wanted)
        )

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        path = f"/flavors/{quote(shown['id'], safe='')}"
        try:
            found: Document = {ours: shown[theirs] for ours, theirs in _NAMES.items()}
        except KeyError as error:
            raise PodUnavailable(pod.pod_name, f"a flavor without {error}") from None
        found["swap"] = found["swap"] or 0
        found["rxtx_factor"] = found["rxtx_factor"] or 0
        if "description" in shown:
            found["description"] = shown["description"]
        specs = shown.get("extra_specs")
        if specs is None:
            specs = (await self._reads.get(pod, f"{path}/os-extra_specs"))["extra_specs"]
        found["extra_specs"] = specs
        found["projects"] = []
        if not found["is_public"]:
            answer = await self._reads.get(pod, f"{path}/os-flavor-access")
            found["projects"] = sorted(one["tenant_id"] for one in answer["flavor_access"])
        return found

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        """What cannot be changed is made anew: servers keep a copy of the flavor they have."""
        if wanted is None:
            return () if seen is None else (Step("DELETE", "/flavors/{id}", fine=404),)
        if seen is None:
            return _create(wanted)
        if any(wanted[name] != seen[name] for name in _NAMES):
            return (Step("DELETE", "/flavors/{id}", fine=404), *_create(wanted))
        return _change(wanted, seen)


def _create(wanted: Document) -> tuple[Step, ...]:
    fields = {theirs: wanted[ours] for ours, theirs in _NAMES.items()}
    if not wanted["rxtx_factor"]:
        del fields["rxtx_factor"]  # none can be had, but not asked for
    bare = wanted | {"description": None, "extra_specs": {}, "projects": []}
    return (Step("POST", "/flavors", {"flavor": fields}, makes="flavor"), *_change(wanted, bare))


def _change(wanted: Document, seen: Document) -> tuple[Step, ...]:
    steps = []
    words = wanted.get("description")
    if "description" in seen and words != seen["description"]:
        told = {"flavor": {"description": words}}
        steps.append(Step("PUT", "/flavors/{id}", told, DESCRIBED))
    steps += specs_steps(_SPECS, "extra_specs", seen["extra_specs"], wanted["extra_specs"])
    steps += access_steps(_ACTION, "TenantAccess", "tenant", seen, wanted)
    return tuple(steps)
