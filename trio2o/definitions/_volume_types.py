"""Volume types and group types as definitions: the first pod's id is the tenants'."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve

from trio2o.definitions._cinder import Cinders, specs_steps
from trio2o.definitions._extra_specs import to_pod, to_top
from trio2o.definitions._kind import Document, Step
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.pods import Pods

_PLAIN = ("name", "description", "is_public")
_ENCRYPTION = ("provider", "cipher", "key_size", "control_location")
_TYPE, _ACTION = "/types/{id}", "/types/{id}/action"


class VolumeTypes:
    """Name, description, extra specs, encryption, and the projects that may use a private one."""

    name, service, adopts = "volume_type", "volume", True
    taken = "Volume Type {name} already exists."

    def __init__(self, clock: Any, pods: Pods, own_token: Callable[[], Awaitable[str]]) -> None:
        self._cinders = Cinders(clock, pods, own_token)

    async def observe(self, pod: Pod) -> dict[str, Document]:
        shown = await self._cinders.all(pod, "/types", "volume_types", "volume_type_links")
        found = await together(self._whole(pod, one) for one in shown)
        return {one["id"]: whole for one, whole in zip(shown, found, strict=True)}

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        if id:
            shown = await self._cinders.one(pod, "/types", "volume_type", id)
        else:
            names = ("volume_types", "volume_type_links")
            shown = await self._cinders.named(pod, "/types", *names, wanted)
        return (shown["id"], await self._whole(pod, shown)) if shown else None

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        path = f"/types/{shown['id']}"
        found: Document = {name: shown.get(name) for name in _PLAIN}
        found["extra_specs"] = to_top(shown.get("extra_specs") or {})
        told = await self._cinders.get(pod, f"{path}/encryption", (404,))
        encrypted = bool(told.get("provider"))
        encryption = {name: told.get(name) for name in _ENCRYPTION}
        found["encryption"] = encryption if encrypted else None
        found["projects"] = []
        if not found["is_public"]:
            told = await self._cinders.get(pod, f"{path}/os-volume-type-access", (404,))
            access = told.get("volume_type_access", ())
            found["projects"] = sorted(row["project_id"] for row in access)
        own = shown.get("extra_specs") or {}
        return found if own == found["extra_specs"] else found | {"local": own}

    def in_pod(self, wanted: Document, pod: Pod) -> Document:
        return wanted | {"local": to_pod(wanted["extra_specs"], pod)}

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        if wanted is None:
            return () if seen is None else (Step("DELETE", _TYPE, gone=True),)
        if seen is not None:
            return _change(wanted, seen)
        fields: Document = {"name": wanted["name"], "description": wanted["description"]}
        fields["os-volume-type-access:is_public"] = wanted["is_public"]
        fields["extra_specs"] = _local(wanted)
        create = Step("POST", "/types", {"volume_type": fields}, makes="volume_type")
        bare = wanted | {"encryption": None, "projects": []}
        bare["local"] = _local(wanted)
        return (create, *_change(wanted, bare))


def _local(document: Document) -> Document:
    found: Document = document["local"] if "local" in document else document["extra_specs"]
    return found


def _change(wanted: Document, seen: Document) -> tuple[Step, ...]:
    steps = []
    plain = {name: wanted[name] for name in _PLAIN if wanted[name] != seen[name]}
    if plain:
        plain = {name: "" if value is None else value for name, value in plain.items()}
        steps.append(Step("PUT", _TYPE, {"volume_type": plain}))
    # as the pod has them, which may be otherwise than they are for tenants
    specs = f"{_TYPE}/extra_specs"
    steps += specs_steps(specs, "extra_specs", _local(seen), _local(wanted))
    want, have = wanted["encryption"], seen["encryption"]
    if want != have:
        path = f"{_TYPE}/encryption"
        if want is None:
            steps.append(Step("DELETE", f"{path}/provider", gone=True))
        else:
            asked = {name: value for name, value in want.items() if value is not None}
            steps.append(
                Step("POST", path, {"encryption": asked})
                if have is None
                else Step("PUT", f"{path}/provider", {"encryption": want})
            )
    for word, left, right in (("add", wanted, seen), ("remove", seen, wanted)):
        for project in sorted(set(left["projects"]) - set(right["projects"])):
            steps.append(Step("POST", _ACTION, {f"{word}ProjectAccess": {"project": project}}))
    return tuple(steps)


GROUPS = Version(3, 11)
"""From here on there are group types."""

_GROUP_TYPE = "/group_types/{id}"


class GroupTypes:
    """Name, description and specs of kinds of volume groups."""

    name, service, adopts = "group_type", "volume", True
    taken = "Group Type {name} already exists."

    def __init__(self, clock: Any, pods: Pods, own_token: Callable[[], Awaitable[str]]) -> None:
        self._cinders = Cinders(clock, pods, own_token, GROUPS)

    async def observe(self, pod: Pod) -> dict[str, Document]:
        shown = await self._cinders.all(pod, "/group_types", "group_types", "group_type_links")
        return {one["id"]: _group_type(one) for one in shown}

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        if id:
            shown = await self._cinders.one(pod, "/group_types", "group_type", id)
        else:
            names = ("group_types", "group_type_links")
            shown = await self._cinders.named(pod, "/group_types", *names, wanted)
        return (shown["id"], _group_type(shown)) if shown else None

    def in_pod(self, wanted: Document, pod: Pod) -> Document:
        return wanted

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        steps: list[Step] = []
        if wanted is None:
            steps += () if seen is None else (Step("DELETE", _GROUP_TYPE, gone=True),)
        elif seen is None:
            steps.append(Step("POST", "/group_types", {"group_type": wanted}, makes="group_type"))
        else:
            plain = {name: wanted[name] for name in _PLAIN if wanted[name] != seen[name]}
            if plain:
                plain = {name: "" if value is None else value for name, value in plain.items()}
                steps.append(Step("PUT", _GROUP_TYPE, {"group_type": plain}))
            specs = f"{_GROUP_TYPE}/group_specs"
            steps += specs_steps(specs, "group_specs", seen["group_specs"], wanted["group_specs"])
        return tuple(evolve(step, version=GROUPS) for step in steps)


def _group_type(shown: Document) -> Document:
    found: Document = {name: shown.get(name) for name in _PLAIN}
    return found | {"group_specs": shown.get("group_specs") or {}}
