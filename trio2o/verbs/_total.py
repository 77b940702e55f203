"""Total: ask all pods, and make one answer of what they say that is no list."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec
from attrs import frozen

from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call
from trio2o.verbs._context import Context, below, json_answer
from trio2o.verbs._define import all_of
from trio2o.verbs._gather import UNAVAILABLE, incomplete
from trio2o.verbs._rewrite import rewrite

Document = dict[str, Any]


@frozen
class Total:
    """One document of all pods'. Pods that do not answer are named in a header.

    `combine` is a pure function of what the pods said, in the pods' order; `known` puts in its
    place what the top itself knows better.
    """

    combine: Callable[[Sequence[tuple[Pod, Document]]], Document]
    known: Callable[[Document, Call, Context], Awaitable[None]] | None = None

    async def __call__(self, call: Call, context: Context) -> Answer:
        pods = all_of(context)
        answers = await together(context.heard(pod, below(call, context)) for pod in pods)
        said: list[tuple[Pod, Document]] = []
        lost: list[str] = []
        status = 200
        for pod, answer in zip(pods, answers, strict=True):
            document = self.told(pod, answer)
            if answer is not None and document is not None:
                said.append((pod, document))
                status = answer.status
            elif answer is None or answer.ok or answer.status == 401:
                lost.append(pod.pod_name)
            else:  # the same is wrong in every pod
                return rewrite(answer, context, pod)
        if lost and context.refuses_to_omit(none=not said):
            raise incomplete(lost)
        names = ", ".join(lost).encode()
        combined = self.combine(said)
        if self.known is not None:
            await self.known(combined, call, context)
        return json_answer(status, combined, ((UNAVAILABLE, names),) if lost else ())

    def told(self, pod: Pod, answer: Answer | None) -> Document | None:
        """What a pod says, if `combine` can make something of it."""
        if answer is None or not answer.ok or not isinstance(answer.body, bytes):
            return None
        try:
            document = msgspec.json.decode(answer.body, type=Document)
            self.combine([(pod, document)])
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError, AttributeError):
            return None
        return document
