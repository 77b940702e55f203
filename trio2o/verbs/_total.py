"""Total: ask all pods, and make one answer of what they say that is no list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from attrs import frozen

from trio2o.domain.errors import Fault, Unavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call
from trio2o.verbs._context import Context, below, json_answer
from trio2o.verbs._gather import UNAVAILABLE
from trio2o.verbs._rewrite import rewrite

Document = dict[str, Any]


@frozen
class Total:
    """One document of all pods'. Pods that do not answer are named in a header.

    `combine` is a pure function of what the pods said, in the pods' order.
    """

    combine: Callable[[Sequence[tuple[Pod, Document]]], Document]

    async def __call__(self, call: Call, context: Context) -> Answer:
        pods = context.pods.serving(context.surface.service)
        answers = await together(self._ask(pod, call, context) for pod in pods)
        said: list[tuple[Pod, Document]] = []
        lost: list[str] = []
        status = 200
        for pod, answer in zip(pods, answers, strict=True):
            document = _document(answer)
            if answer is not None and document is not None:
                said.append((pod, document))
                status = answer.status
            elif answer is None or answer.ok or answer.status >= 500 or answer.status == 401:
                lost.append(pod.pod_name)
            else:  # the same is wrong in every pod
                return rewrite(answer, context, pod)
        if not said:
            raise Unavailable("No pod can be asked at the moment.")
        names = ", ".join(lost).encode()
        return json_answer(status, self.combine(said), ((UNAVAILABLE, names),) if lost else ())

    async def _ask(self, pod: Pod, call: Call, context: Context) -> Answer | None:
        if context.pods.is_down(pod, context.surface.service):
            return None
        try:
            return await context.send(pod, below(call, context))
        except Fault:
            return None


def _document(answer: Answer | None) -> Document | None:
    if answer is None or not answer.ok or not isinstance(answer.body, bytes):
        return None
    try:
        return msgspec.json.decode(answer.body, type=Document)
    except msgspec.MsgspecError:
        return None
