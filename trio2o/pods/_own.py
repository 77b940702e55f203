"""Calls that the appliance makes to a pod by itself."""

from collections.abc import Container, Iterable
from typing import Any
from urllib.parse import urlencode

import msgspec
from attrs import frozen

from trio2o.domain.errors import PodUnavailable
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.message import Answer, Call, Headers
from trio2o.pods._pods import Pods, Target


@frozen
class OwnCalls:
    """Calls to a service of the pods, with a token that is given for each.

    One may take so many `seconds`; who is `hurried` and waits in vain has not learned that a pod is
    down.
    """

    clock: Any
    pods: Pods
    service: str = "compute"
    seconds: float = 30.0
    hurried: bool = False

    async def send(
        self,
        pod: Pod,
        token: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Iterable[tuple[str, Any]] = (),
        version: Version | None = None,
        headers: Headers = (),
    ) -> Answer:
        """The pod's answer, whatever it is; `body` is sent as JSON. Raises `Fault`."""
        named = [
            (b"X-Auth-Token", token.encode()),
            (b"Accept", b"application/json"),
            (b"Content-Type", b"application/json"),
            *headers,
        ]
        if version is not None:
            named.append((b"OpenStack-API-Version", f"{self.service} {version}".encode()))
        data = b"" if body is None else msgspec.json.encode(body)
        raw, _, own = path.partition("?")
        call = Call(
            method, raw.encode(), (own or urlencode(list(query))).encode(), tuple(named), data
        )
        deadline = self.clock.seconds() + self.seconds
        more: dict[str, Any] = {"hurried": True} if self.hurried else {}
        return await self.pods.send(pod, Target(self.service, ""), call, deadline, **more)

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
        answer = await self.send(pod, token, method, path, body, version=version)
        if not answer.ok and answer.status not in fine:
            where = f"{method} {path.partition('?')[0]}"
            raise PodUnavailable(pod.pod_name, f"{where}: status {answer.status}")
        return answer


def document(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer. Raises `KeyError` for what is none."""
    assert isinstance(answer.body, bytes)
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise KeyError(str(error)) from None
