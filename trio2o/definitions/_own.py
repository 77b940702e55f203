"""Calls that the appliance makes to a pod by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container
from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from attrs import frozen

from trio2o.definitions._kind import Document
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


class Reads:
    """What a service of the pods shows us, at a version where the pod speaks it."""

    def __init__(
        self,
        clock: Any,
        pods: Pods,
        own_token: Callable[[], Awaitable[str]],
        service: str = "compute",
        version: Version | None = None,
    ) -> None:
        self._calls, self._own_token = OwnCalls(clock, pods, service), own_token
        self._pods, self._service, self._version = pods, service, version

    async def get(self, pod: Pod, path: str, fine: tuple[int, ...] = ()) -> Document:
        """A document; what is `fine` (404, say) is one too. Raises `Fault`."""
        version, token = self._version, await self._own_token()
        if version is not None and not self._pods.speaks(pod, self._service, version):
            version = None
        answer = await self._calls.ask(pod, token, "GET", path, version=version, fine=fine)
        try:
            return document(answer)
        except KeyError as error:
            raise PodUnavailable(pod.pod_name, f"GET {path}: {error}") from None

    async def one(self, pod: Pod, path: str, key: str, id: str) -> Document | None:
        """A thing by its id."""
        found = (await self.get(pod, f"{path}/{quote(id, safe='')}", (404,))).get(key)
        # Cinder's `default` is no id, though it can be asked for
        return found if isinstance(found, dict) and found.get("id") == id else None

    async def all(self, pod: Pod, path: str, key: str, links: str = "") -> list[Document]:
        """A whole list, page by page; none where the pod does not know of such. Raises `Fault`."""
        found: list[Document] = []
        path, _, query = path.partition("?")
        while True:
            marker = urlencode({"marker": found[-1]["id"]}) if found else ""
            asked = "&".join(filter(None, (query, marker)))
            answer = await self.get(pod, f"{path}?{asked}", (404,))
            rows = answer.get(key, [] if "NeutronError" in answer else None)
            if not isinstance(rows, list):
                raise PodUnavailable(pod.pod_name, f"its list of {key} is none")
            found += rows
            if not rows or not answer.get(links or f"{key}_links"):
                return found


def document(answer: Answer) -> dict[str, Any]:
    """The JSON object of an answer. Raises `KeyError` for what is none."""
    assert isinstance(answer.body, bytes)
    try:
        return msgspec.json.decode(answer.body, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise KeyError(str(error)) from None
