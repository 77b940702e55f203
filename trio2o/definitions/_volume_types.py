"""Volume types and group types as definitions: the first pod's id is the tenants'."""

from attrs import evolve

from trio2o.definitions._extra_specs import to_pod, to_top
from trio2o.definitions._kind import Document, Step
from trio2o.definitions._listed import PLAIN, Listed, access_steps, plain_steps, specs_steps
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version

_ENCRYPTION = ("provider", "cipher", "key_size", "control_location")
_TYPE, _ACTION = "/types/{id}", "/types/{id}/action"


class VolumeTypes(Listed):
    """Name, description, extra specs, encryption, and the projects that may use a private one."""

    name, service = "volume_type", "volume"
    taken = "Volume Type {name} already exists."
    path, listing = "/types", "/types?is_public=None"
    key, rows, links = "volume_type", "volume_types", "volume_type_links"

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        path = f"/types/{shown['id']}"
        found: Document = {name: shown.get(name) for name in PLAIN}
        found["extra_specs"] = to_top(shown.get("extra_specs") or {})
        told = await self._reads.get(pod, f"{path}/encryption", (404,))
        encrypted = bool(told.get("provider"))
        encryption = {name: told.get(name) for name in _ENCRYPTION}
        found["encryption"] = encryption if encrypted else None
        found["projects"] = []
        if not found["is_public"]:
            told = await self._reads.get(pod, f"{path}/os-volume-type-access", (404,))
            access = told.get("volume_type_access", ())
            found["projects"] = sorted(row["project_id"] for row in access)
        own = shown.get("extra_specs") or {}
        return found if own == found["extra_specs"] else found | {"local": own}

    def in_pod(self, wanted: Document, pod: Pod) -> Document:
        return wanted | {"local": to_pod(wanted["extra_specs"], pod)}

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        if wanted is None:
            return () if seen is None else (Step("DELETE", _TYPE, fine=404),)
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
    steps = plain_steps(_TYPE, "volume_type", seen, wanted)
    # as the pod has them, which may be otherwise than they are for tenants
    specs = f"{_TYPE}/extra_specs"
    steps += specs_steps(specs, "extra_specs", _local(seen), _local(wanted))
    want, have = wanted["encryption"], seen["encryption"]
    if want != have:
        path = f"{_TYPE}/encryption"
        if want is None:
            steps.append(Step("DELETE", f"{path}/provider", fine=404))
        else:
            asked = {name: value for name, value in want.items() if value is not None}
            steps.append(
                Step("POST", path, {"encryption": asked})
                if have is None
                else Step("PUT", f"{path}/provider", {"encryption": want})
            )
    steps += access_steps(_ACTION, "ProjectAccess", "project", seen, wanted)
    return tuple(steps)


GROUPS = Version(3, 11)
"""From here on there are group types."""

_GROUP_TYPE = "/group_types/{id}"


class GroupTypes(Listed):
    """Name, description and specs of kinds of volume groups."""

    name, service, version = "group_type", "volume", GROUPS
    taken = "Group Type {name} already exists."
    path, listing = "/group_types", "/group_types?is_public=None"
    key, rows, links = "group_type", "group_types", "group_type_links"

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        found: Document = {name: shown.get(name) for name in PLAIN}
        return found | {"group_specs": shown.get("group_specs") or {}}

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        steps: list[Step] = []
        if wanted is None:
            steps += () if seen is None else (Step("DELETE", _GROUP_TYPE, fine=404),)
        elif seen is None:
            steps.append(Step("POST", "/group_types", {"group_type": wanted}, makes="group_type"))
        else:
            steps += plain_steps(_GROUP_TYPE, "group_type", seen, wanted)
            specs = f"{_GROUP_TYPE}/group_specs"
            steps += specs_steps(specs, "group_specs", seen["group_specs"], wanted["group_specs"])
        return tuple(evolve(step, version=GROUPS) for step in steps)
