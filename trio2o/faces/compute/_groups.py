"""Server groups as Nova shows them: one id for the tenant, members of all pods."""

from typing import Any
from urllib.parse import parse_qsl

from trio2o.definitions import ServerGroups, content
from trio2o.domain.errors import Fault
from trio2o.domain.values import Definition, Pod
from trio2o.domain.versions import Version
from trio2o.faces.compute._keypairs import first_answer
from trio2o.faces.compute._kinds import SERVER_GROUP
from trio2o.message import Answer, Call
from trio2o.scheduling import Pin
from trio2o.verbs import Context, ask_any, decode, edit_member, json_answer, raw, rewrite, value_at

HAS_OWNER = Version(2, 13)
ONE_POLICY = Version(2, 64)
PAGE = 1000

HINTS = ("os:scheduler_hints", "OS-SCH-HNT:scheduler_hints")
TOGETHER = "affinity"


def _groups(context: Context) -> ServerGroups:
    found: ServerGroups = context.parts.groups
    return found


async def _shown(group: Definition, context: Context) -> dict[str, Any]:
    version = context.version or Version(2, 1)
    by_pod = await _groups(context).members(group.key, context.caller.token)
    members = [id for ids in by_pod.values() for id in ids]
    kept = content(group.document)
    shown: dict[str, Any] = {"id": group.key, "name": kept["name"], "members": members}
    if version >= ONE_POLICY:
        shown |= {name: kept[name] for name in ("policy", "rules")}
    else:
        shown |= {"policies": [kept["policy"]], "metadata": {}}
    if version >= HAS_OWNER:
        shown |= {name: kept[name] for name in ("project_id", "user_id")}
    return shown


async def count_groups(document: dict[str, Any], call: Call, context: Context) -> None:
    """Limits or quotas tell how many groups a project has: its pods have copies of one group."""
    query = dict(parse_qsl(call.query.decode("latin-1")))
    project = context.params.get("id") or query.get("tenant_id") or context.caller.project_id
    absolute = document.get("limits", {}).get("absolute", {})
    detail = document.get("quota_set", {}).get("server_groups")
    for shown, name in ((absolute, "totalServerGroupsUsed"), (detail, "in_use")):
        if isinstance(shown, dict) and name in shown:
            found = await _groups(context).of_project(project)
            user = query.get("user_id")
            users = [content(group.document)["user_id"] for group in found]
            shown[name] = len(users) if not user else users.count(user)


async def _own(context: Context) -> Definition | None:
    """The group of the path, if the caller may see it."""
    found = await _groups(context).find(context.params["id"])
    caller = context.caller
    seen = found and (found.owner == caller.project_id or caller.is_admin)
    return found if seen else None


async def list_groups(call: Call, context: Context) -> Answer:
    """Those of the project, in the order in which they were made; `limit` and `offset` cut."""
    query = dict(parse_qsl(call.query.decode("latin-1"), keep_blank_values=True))
    said = await ask_any(SERVER_GROUP, "", call, context) if query else None
    if said is not None and not said.ok:
        return said  # a pod knows what of a query is wrong
    every = "all_projects" in query and context.caller.is_admin
    found = await _groups(context).of_project(None if every else context.caller.project_id)
    start = int(query.get("offset") or 0)
    size = min(int(query.get("limit") or 0) or PAGE, PAGE)
    shown = [await _shown(group, context) for group in found[start : start + size]]
    return json_answer(200, {"server_groups": shown})


async def show_group(call: Call, context: Context) -> Answer:
    group = await _own(context)
    if group is None:
        return await ask_any(SERVER_GROUP, "", call, context)
    return json_answer(200, {"server_group": await _shown(group, context)})


async def create_group(call: Call, context: Context) -> Answer:
    """One pod makes it, or says what is wrong; its id there is the tenant's."""
    pod, answer = await first_answer(call, context)
    made = value_at(decode(answer.body), ("server_group",)) if answer.ok else None
    if isinstance(made, dict) and isinstance(made.get("id"), str):
        policies = made.get("policies") or [made.get("policy") or ""]
        group = {
            "project_id": context.caller.project_id,
            "user_id": context.caller.user_id,
            "name": str(made.get("name", "")),
            "policy": str(policies[0]),
            "rules": made.get("rules") or {},
        }
        await _groups(context).created(pod, made["id"], group)
    return rewrite(answer, context, pod)


async def delete_group(call: Call, context: Context) -> Answer:
    group = await _own(context)
    if group is None:
        return await ask_any(SERVER_GROUP, "", call, context)
    await _groups(context).delete(group)
    context.parts.reconcilers.wake("server_groups", 5.0)
    return Answer(204)


def _hinted(body: Any) -> tuple[str, str]:
    """The key of a body's hints, and the group that they name ('' = none)."""
    for key in HINTS:
        id = value_at(body, (key, "group"))
        if isinstance(id, str) and id:
            return key, id
    return "", ""


async def group_pins(body: Any, context: Context) -> tuple[Pin, ...]:
    """Affinity keeps together what is in one pod; a group that we did not make lives in one."""
    _, id = _hinted(body)
    if not id:
        return ()
    group = await _groups(context).find(id)
    if group is None:
        try:
            route = await context.routes.find(SERVER_GROUP, id, context.caller, context.deadline)
        except Fault:
            return ()
        pod = context.pods.get(route.pod_id) if route and not route.deleted_at else None
        return (Pin(f"server group {id}", pod),) if pod else ()
    if content(group.document)["policy"] != TOGETHER:
        return ()
    by_pod = await _groups(context).members(id, context.caller.token)
    pods = [pod for pod, members in by_pod.items() if members]
    return (Pin(f"server group {id}", pods[0]),) if pods else ()


async def with_group(body: bytes, pod: Pod, context: Context) -> bytes:
    """The group that a new server's hints name, by its id in the pod; made there if need be."""
    key, id = _hinted(decode(body))
    group = await _groups(context).find(id) if id else None
    if group is None or group.owner != context.caller.project_id:
        return body
    own = await _groups(context).materialise(id, pod)
    return body if own == id else edit_member(body, key, {"group": raw(own)})
