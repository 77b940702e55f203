"""What no pod has for itself: flavors and default rules, quotas, a project's own topology."""

from __future__ import annotations

from urllib.parse import quote

from attrs import evolve
from msgspec.structs import replace

from trio2o.domain.errors import BadRequest
from trio2o.domain.values import Pod
from trio2o.faces.network_resources import TOPOLOGY
from trio2o.faces.totals import Document, Said, least_of, quotas
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Everywhere, Place, Total, decode, edit_member, raw, value_at

FLAVOR_KIND, PROFILE_KIND = "network_flavor", "service_profile"


async def with_profile(call: Call, key: str, pod: Pod, context: Context) -> Call:
    """A flavor's profile, in the path or the body, by what the pod calls it."""
    if "flavor_id" not in context.params:
        return call
    in_path = context.params.get("id")
    named = in_path or value_at(decode(call.body), ("service_profile", "id"))
    if not isinstance(named, str):
        return call
    own = await context.definitions[PROFILE_KIND].places.carry(named, pod)
    if in_path:
        if own == named:
            return call
        flavor = call.path.rstrip(b"/").rpartition(b"/")[0]
        return replace(call, path=b"%s/%s" % (flavor, quote(own, safe="").encode()))
    assert isinstance(call.body, bytes)
    return replace(call, body=edit_member(call.body, "service_profile", {"id": raw(own)}))


async def with_flavor(body: bytes, pod: Pod, context: Context) -> bytes:
    """A new router's flavor by what the pod calls it."""
    named = value_at(decode(body), ("router", "flavor_id"))
    flavors = context.definitions.get(FLAVOR_KIND)
    if flavors is None or not isinstance(named, str):
        return body
    own = await flavors.places.carry(named, pod)
    return edit_member(body, "router", {"flavor_id": raw(own)})


def quota(said: Said) -> Document:
    return quotas(said, "quota")


async def set_quota(call: Call, context: Context) -> Answer:
    """Written to every pod, if no more is used in all of them: each would look at its own alone."""
    asked = value_at(decode(call.body), ("quota",))
    # who may not change it is told that first, by a pod
    if isinstance(asked, dict) and asked.get("force") is not True and context.caller.is_admin:
        details = replace(context, below=context.below + b"/details")
        told = await Total(quota)(replace(call, method="GET", body=b""), details)
        for name, limit in asked.items():
            used = value_at(decode(told.body), ("quota", name, "used")) if told.ok else None
            if used and str(limit).isdecimal() and used > int(limit):
                raise BadRequest(
                    f"Quota limit {limit} for {name} must be greater than or equal to already "
                    f"used {used}"
                )
    return await Everywhere()(call, context)


def all_quotas(said: Said) -> Document:
    """The projects whose quotas are not the usual ones, anywhere."""
    by_project: dict[str, list[Document]] = {}
    for _, document in said:
        for row in document["quotas"]:
            by_project.setdefault(row["project_id"], []).append(row)
    return {"quotas": [least_of(parts) for parts in by_project.values()]}


_TOPOLOGY = Place(TOPOLOGY, follows=True)


async def topology(call: Call, context: Context) -> Answer:
    """Shown, made or deleted in the pod that the project uses: a GET makes it where there is
    none, and a DELETE looks for it by a GET."""
    asked, caller = context.params["project_id"], context.caller
    if asked != "None" and caller.is_admin:
        context = replace(context, caller=evolve(caller, project_id=asked))
    return await _TOPOLOGY(call, context)
