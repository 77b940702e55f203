"""Named: what pods call by names that other pods may use too."""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

import msgspec
from attrs import frozen
from msgspec.structs import replace

from trio2o.domain.errors import BadRequest, PodUnavailable
from trio2o.domain.resources import Resource
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call, with_header
from trio2o.verbs._context import Context, below
from trio2o.verbs._forward import ask_any
from trio2o.verbs._refs import decode, value_at
from trio2o.verbs._rewrite import fields_of, raw, rewrite


@frozen
class Named:
    """Pass a call to the one pod that has a thing of this name.

    Where several have it, `name.Pod2` says which is meant, and the name alone is refused with 400.
    `listed` is the list that tells who has it, its rows at `member`, or at one of `also`. The name
    stands in the path at `param`, else in the query or the body, at `key` or one of `also`.
    """

    listed: Resource
    member: str
    param: str = ""
    key: str = ""
    also: tuple[str, ...] = ()
    in_query: bool = False

    async def __call__(self, call: Call, context: Context) -> Answer:
        key, name = self._asked(call, context)
        if name is None:
            return await ask_any(self.listed, "", call, context)
        members = (self.member, *self.also) if self.param else (key or self.member,)
        found = await pod_naming(name, self.listed, members, call, context)
        if found is None:
            return await ask_any(self.listed, name, call, context)
        pod, plain = found
        sent = below(call, context)
        if plain != name:
            sent = self._with_name(sent, key, name, plain)
        return rewrite(await context.send(pod, sent), context, pod)

    def _asked(self, call: Call, context: Context) -> tuple[str, str | None]:
        """The key at which a name stands, and the name."""
        if self.param:
            return "", context.params[self.param]
        query = parse_qsl(call.query.decode("latin-1"))
        said = dict(query) if self.in_query else decode(call.body)
        for key in (self.key, *self.also):
            name = value_at(said, (key,))
            if isinstance(name, str) and name:
                return key, name
        return "", None

    def _with_name(self, call: Call, key: str, name: str, plain: str) -> Call:
        if self.param:
            path = call.path.replace(b"/" + name.encode(), b"/" + plain.encode(), 1)
            return replace(call, path=path)
        if self.in_query:
            query = parse_qsl(call.query.decode("latin-1"), keep_blank_values=True)
            changed = [(n, plain if n == key else value) for n, value in query]
            return replace(call, query=urlencode(changed).encode())
        assert isinstance(call.body, bytes)
        fields = fields_of(call.body)
        fields[key] = raw(plain)
        return replace(call, body=msgspec.json.encode(fields))


async def pod_naming(
    name: str, listed: Resource, members: Sequence[str], call: Call, context: Context
) -> tuple[Pod, str] | None:
    """The pod that has a thing of a name, and the name there; None if none has.

    What follows a `#` (a pool of a host) is not looked at. Raises `BadRequest` if several have
    it, `PodUnavailable` if none has but one could not be asked.
    """
    pods = context.pods.serving(context.surface.service)
    told = await together(_names(pod, listed, members, call, context) for pod in pods)
    names = dict(zip(pods, told, strict=True))
    having = [pod for pod in pods if name.partition("#")[0] in (names[pod] or ())]
    plain, _, pod_name = name.rpartition(".")
    meant = [
        pod
        for pod in pods
        if pod.pod_name == pod_name and plain.partition("#")[0] in (names[pod] or ())
    ]
    if meant and ("#" in plain or not having):
        return meant[0], plain
    if len(having) > 1:
        ways = " or ".join(f"{name}.{pod.pod_name}" for pod in having)
        raise BadRequest(f"{name} is the name of more than one: write {ways}.")
    if having:
        return having[0], name
    for pod in pods:
        if names[pod] is None:
            raise PodUnavailable(pod.pod_name, "it cannot be asked for names")
    return None


async def _names(
    pod: Pod, listed: Resource, members: Sequence[str], call: Call, context: Context
) -> set[str] | None:
    """None where the pod cannot be asked; empty where the caller may not ask."""
    asking = replace(below(call, context), method="GET", query=b"", body=b"")
    asking = replace(asking, path=listed.collection.encode())
    for header, value in listed.headers:
        asking = replace(asking, headers=with_header(asking.headers, header, value))
    answer = await context.heard(pod, asking)
    if answer is None:
        return None
    if not answer.ok or not isinstance(answer.body, bytes):
        return set()
    try:
        rows = msgspec.json.decode(answer.body)[listed.rows]
        return {row[member] for row in rows for member in members if row.get(member)}
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError):
        return set()
