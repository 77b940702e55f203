"""Calls that the appliance makes to a pod by itself."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

import msgspec
from attrs import frozen

from trio2o.domain.errors import PodUnavailable
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.message import Answer, Call
from trio2o.pods import Pods, Target

SECONDS = 30.0
"""What one call may take."""


@frozen
class OwnCalls:
    """Calls to a service of the pods, with a token that is given for each."""

    clock: Any
    pods: Pods
    service: str = "compute"

    async def ask(
        self,
        pod: Pod,
        token: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: Version | None = None,
        fine: Container[int] = (),
    ) -> Answer:
        """The pod's answer: a success, or of a status that is `fine`. Raises `Fault`."""
        headers = [
            (b"X-Auth-Token", token.encode()),
            (b"Accept", b"application/json"),
            (b"Content-Type", b"application/json"),
        ]
        if version is not None:
            headers.append((b"OpenStack-API-Version", f"{self.service} {version}".encode()))
        data = b"" if body is None else msgspec.json.encode(body)
        raw, _, query = path.partition("?")
        call = Call(method, raw.encode(), query.encode(), tuple(headers), data)
        deadline = self.clock.seconds() + SECONDS
        answer = await self.pods.send(pod, Target(self.service, ""), call, deadline)
        if not answer.ok and answer.status not in fine:
            raise PodUnavailable(pod.pod_name, f"{method} {raw}: status {answer.status}")
        return answer


def document(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer. Raises `KeyError` for what is none."""
    assert isinstance(answer.body, bytes)
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise KeyError(str(error)) from None
