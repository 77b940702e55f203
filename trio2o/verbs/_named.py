"""Named: what pods call by names that other pods may use too."""

from __future__ import annotations

import msgspec
from attrs import evolve, frozen

from trio2o.domain.errors import BadRequest, Fault
from trio2o.domain.resources import Resource
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call
from trio2o.verbs._context import Context, below
from trio2o.verbs._forward import ask_any
from trio2o.verbs._refs import decode, value_at
from trio2o.verbs._rewrite import fields_of, raw, rewrite


@frozen
class Named:
    """Pass a call to the one pod that has a thing of this name.

    Where several have it, `name.Pod2` says which is meant, and the name alone is refused with 400.
    `listed` is the list that tells who has it, its rows at `member`. The name stands in the path
    at `param`, or in the body at `key`.
    """

    listed: Resource
    member: str
    param: str = ""
    key: str = ""

    async def __call__(self, call: Call, context: Context) -> Answer:
        name = (
            context.params[self.param] if self.param else value_at(decode(call.body), (self.key,))
        )
        if not isinstance(name, str):
            return await ask_any(self.listed, "", call, context)
        pods = context.pods.serving(context.surface.service)
        names = dict(
            zip(pods, await together(self._names(p, call, context) for p in pods), strict=True)
        )
        having = [pod for pod in pods if name in names[pod]]
        if len(having) > 1:
            ways = " or ".join(f"{name}.{pod.pod_name}" for pod in having)
            raise BadRequest(f"{name} is the name of more than one: write {ways}.")
        if having:
            return rewrite(await context.send(having[0], below(call, context)), context, having[0])
        plain, _, pod_name = name.rpartition(".")
        for pod in pods:
            if pod.pod_name == pod_name and plain in names[pod]:
                sent = self._with_name(below(call, context), name, plain)
                return rewrite(await context.send(pod, sent), context, pod)
        return await ask_any(self.listed, name, call, context)

    async def _names(self, pod: Pod, call: Call, context: Context) -> set[str]:
        """Empty too where the pod cannot be asked, or the caller may not."""
        path = self.listed.collection.encode()
        asking = evolve(below(call, context), method="GET", path=path, query=b"", body=b"")
        try:
            answer = await context.ask(pod, asking)
        except Fault:
            return set()
        if not answer.ok or not isinstance(answer.body, bytes):
            return set()
        try:
            rows = msgspec.json.decode(answer.body)[self.listed.rows]
            return {row[self.member] for row in rows}
        except (msgspec.MsgspecError, KeyError, TypeError):
            return set()

    def _with_name(self, call: Call, name: str, plain: str) -> Call:
        if self.param:
            path = call.path.replace(b"/" + name.encode(), b"/" + plain.encode(), 1)
            return evolve(call, path=path)
        assert isinstance(call.body, bytes)
        fields = fields_of(call.body)
        fields[self.key] = raw(plain)
        return evolve(call, body=msgspec.json.encode(fields))
