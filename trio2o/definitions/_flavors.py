"""Flavors as definitions: the id is the tenants' in every pod."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode

from trio2o.definitions._kind import Document, Step
from trio2o.domain.errors import PodUnavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.pods import OwnCalls, Pods, document

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


class Flavors:
    """Sizes, description, extra specs, and the projects that may use a private one."""

    name, service, adopts = "flavor", "compute", True
    taken = "Flavor with ID {key} already exists."

    def __init__(self, clock: Any, pods: Pods, own_token: Callable[[], Awaitable[str]]) -> None:
        self._calls, self._pods, self._own_token = OwnCalls(clock, pods), pods, own_token

    async def observe(self, pod: Pod) -> dict[str, Document]:
        shown = await self._all(pod)
        found = await together(self._whole(pod, one) for one in shown)
        return {one["id"]: one for one in found}

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        path = f"/flavors/{quote(id or wanted['id'], safe='')}"
        answer = await self._ask(pod, path, (404,))
        shown = answer.get("flavor")
        if shown is None and not id:  # its name may be taken
            same = (one for one in await self._all(pod) if one.get("name") == wanted["name"])
            shown = next(same, None)
        if shown is None:
            return None
        found = await self._whole(pod, shown)
        return found["id"], found

    async def _all(self, pod: Pod) -> list[Document]:
        """What the pod's own list shows, page by page."""
        found: list[Document] = []
        while True:
            query = {"is_public": "None"} | ({"marker": found[-1]["id"]} if found else {})
            answer = await self._ask(pod, f"/flavors/detail?{urlencode(query)}")
            found += answer["flavors"]
            if not answer["flavors"] or not answer.get("flavors_links"):
                return found

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        """In canonical form, with what Nova shows apart."""
        path = f"/flavors/{quote(shown['id'], safe='')}"
        try:
            found: Document = {ours: shown[theirs] for ours, theirs in _NAMES.items()}
        except KeyError as error:
            raise PodUnavailable(pod.pod_name, f"a flavor without {error}") from None
        found["swap"] = found["swap"] or 0
        found["rxtx_factor"] = found["rxtx_factor"] or 0
        if "description" in shown:
            found["description"] = shown["description"]
        found["extra_specs"] = shown.get("extra_specs")
        if found["extra_specs"] is None:
            found["extra_specs"] = (await self._ask(pod, f"{path}/os-extra_specs"))["extra_specs"]
        found["projects"] = []
        if not found["is_public"]:
            answer = await self._ask(pod, f"{path}/os-flavor-access")
            found["projects"] = sorted(one["tenant_id"] for one in answer["flavor_access"])
        return found

    async def _ask(self, pod: Pod, path: str, fine: tuple[int, ...] = ()) -> Document:
        version = WITH_SPECS if self._pods.speaks(pod, self.service, WITH_SPECS) else None
        token = await self._own_token()
        answer = await self._calls.ask(pod, token, "GET", path, version=version, fine=fine)
        try:
            return document(answer)
        except KeyError as error:
            raise PodUnavailable(pod.pod_name, f"GET {path}: {error}") from None

    def in_pod(self, wanted: Document, pod: Pod) -> Document:
        return wanted

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        """What cannot be changed is made anew: servers keep a copy of the flavor they have."""
        if wanted is None:
            return () if seen is None else (Step("DELETE", "/flavors/{id}", gone=True),)
        if seen is None:
            return _create(wanted)
        if any(wanted[name] != seen[name] for name in _NAMES):
            return (Step("DELETE", "/flavors/{id}", gone=True), *_create(wanted))
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
    have, want = seen["extra_specs"], wanted["extra_specs"]
    for name in sorted(set(have) - set(want)):
        steps.append(Step("DELETE", f"{_SPECS}/{quote(name, safe='')}", gone=True))
    if changed := {name: value for name, value in want.items() if have.get(name) != value}:
        steps.append(Step("POST", _SPECS, {"extra_specs": changed}))
    for word, left, right in (("add", wanted, seen), ("remove", seen, wanted)):
        for project in sorted(set(left["projects"]) - set(right["projects"])):
            steps.append(Step("POST", _ACTION, {f"{word}TenantAccess": {"tenant": project}}))
    return tuple(steps)
