"""Keypairs as Nova shows them, answered from what the top keeps."""

from typing import Any
from urllib.parse import parse_qsl

from trio2o.definitions import Keypairs, content
from trio2o.domain.errors import BadRequest, Conflict, Fault, Forbidden, PodUnavailable
from trio2o.domain.values import Definition, Pod
from trio2o.domain.versions import Version
from trio2o.faces.compute._kinds import KEYPAIR
from trio2o.message import Answer, Call
from trio2o.verbs import Context, all_of, ask_any, below, decode, json_answer, rewrite, value_at

NAMES_USER = Version(2, 10)
HAS_TYPE = Version(2, 2)
HAS_PAGES = Version(2, 35)
PAGE = 1000

KNOWN = {"user_id", "limit", "marker"}


def _keypairs(context: Context) -> Keypairs:
    found: Keypairs = context.parts.keypairs
    return found


def _since(context: Context, version: Version) -> bool:
    return context.version is not None and context.version >= version


def _query(call: Call) -> dict[str, str]:
    return dict(parse_qsl(call.query.decode("latin-1"), keep_blank_values=True))


def _user(named: Any, context: Context, what: str) -> str:
    """Whose key is meant. Raises `Forbidden` if it is another's, for all but admins."""
    own = context.caller.user_id
    user: str = named if isinstance(named, str) and _since(context, NAMES_USER) else own
    if user != own and not context.caller.is_admin:
        raise Forbidden(f"Policy doesn't allow os_compute_api:os-keypairs:{what} to be performed.")
    return user


def _brief(keypair: Definition, context: Context) -> dict[str, Any]:
    kept = content(keypair.document)
    more = ("type",) if _since(context, HAS_TYPE) else ()
    return {name: kept[name] for name in ("name", "public_key", "fingerprint", *more)}


def _name(keypair: Definition) -> str:
    return keypair.key.removeprefix(f"{keypair.owner}/")


async def list_keypairs(call: Call, context: Context) -> Answer:
    """By name; in pages from 2.35 on, with names as markers."""
    query = _query(call)
    limit = query.get("limit", "")
    odd = set(query) - KNOWN or (limit and not (limit.isascii() and limit.isdigit()))
    if odd and not (said := await ask_any(KEYPAIR, "", call, context)).ok:
        return said  # a pod knows what of a query is wrong
    user = _user(query.get("user_id"), context, "index")
    found = await _keypairs(context).of_user(user)
    body: dict[str, Any] = {}
    if _since(context, HAS_PAGES):
        if marker := query.get("marker"):
            names = [_name(keypair) for keypair in found]
            if marker not in names:
                raise BadRequest(f"Marker {marker} could not be found.")
            found = found[names.index(marker) + 1 :]
        size = min(int(limit), PAGE) if limit.isdigit() else PAGE
        found = found[:size]
        if found and len(found) == size:
            following = query | {"marker": _name(found[-1])}
            body["keypairs_links"] = [{"rel": "next", "href": context.link(following.items())}]
    return json_answer(200, {"keypairs": [{"keypair": _brief(k, context)} for k in found], **body})


async def show_keypair(call: Call, context: Context) -> Answer:
    user = _user(_query(call).get("user_id"), context, "show")
    found = await _keypairs(context).find(user, context.params["id"])
    if found is None:
        return await ask_any(KEYPAIR, "", call, context)
    shown = _brief(found, context) | {
        "user_id": found.owner,
        "id": found.number,
        "created_at": content(found.document)["created_at"],
        "updated_at": None,
        "deleted_at": None,
        "deleted": False,
    }
    return json_answer(200, {"keypair": shown})


async def create_keypair(call: Call, context: Context) -> Answer:
    """One pod makes it (and the private key, which is in its answer and nowhere else), or says
    what is wrong; then it is recorded, and carried to the others."""
    wish = value_at(decode(call.body), ("keypair",))
    wish = wish if isinstance(wish, dict) else {}
    user = _user(wish.get("user_id"), context, "create")
    keypairs = _keypairs(context)
    name = wish.get("name")
    if isinstance(name, str) and await keypairs.find(user, name) is not None:
        raise Conflict(f"Key pair '{name}' already exists.")
    pod, answer = await first_answer(call, context)
    if answer.ok:
        made = value_at(decode(answer.body), ("keypair",))
        if not isinstance(made, dict) or not {"name", "public_key", "fingerprint"} <= set(made):
            raise PodUnavailable(pod.pod_name, "what it made is no keypair")
        await keypairs.created(pod, made, user)
    return rewrite(answer, context, pod)


async def first_answer(call: Call, context: Context) -> tuple[Pod, Answer]:
    """The answer of the first pod that can be reached; nothing was done in those before it."""
    lost: Fault | None = None
    for pod in all_of(context):
        try:
            return pod, await context.send(pod, below(call, context))
        except PodUnavailable as fault:
            lost = fault
    assert lost is not None
    raise lost


async def delete_keypair(call: Call, context: Context) -> Answer:
    """202 before 2.2, 204 from then on; pods that are down follow."""
    user = _user(_query(call).get("user_id"), context, "delete")
    found = await _keypairs(context).find(user, context.params["id"])
    if found is None:
        return await ask_any(KEYPAIR, "", call, context)
    await _keypairs(context).delete(found)
    context.parts.reconcilers.wake("keypairs", 5.0)
    return Answer(204 if _since(context, HAS_TYPE) else 202)


async def with_keypair(body: bytes, pod: Pod, context: Context) -> bytes:
    """The key that a new server, or one that is rebuilt, names is in its pod before it is."""
    document = decode(body)
    for key in ("server", "rebuild"):
        name = value_at(document, (key, "key_name"))
        if isinstance(name, str) and name:
            await _keypairs(context).carry(context.caller.user_id, name, pod)
    return body


async def lacking_keypair(body: Any, context: Context) -> frozenset[str]:
    """Pods in which another key has the name that the server asks for."""
    name = value_at(body, ("server", "key_name"))
    if not isinstance(name, str):
        return frozenset()
    return await _keypairs(context).conflicts(context.caller.user_id, name)
