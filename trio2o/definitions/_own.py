"""What definitions are kept with, and what services of the pods show us."""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode

from attrs import frozen

from trio2o.definitions._kind import Document
from trio2o.domain.errors import PodUnavailable
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.pods import OwnCalls, Pods, document
from trio2o.store import Store


@frozen
class Means:
    """What definitions are kept with. `now` is the time of day as it is shown; `own_token` gives a
    token of ours, for a project where its id is given."""

    clock: Any
    now: Callable[[], str]
    store: Store
    pods: Pods
    own_token: Callable[..., Awaitable[str]]

    def calls(self, service: str) -> OwnCalls:
        return OwnCalls(self.clock, self.pods, service)


class Reads:
    """What a service of the pods shows us, at a version where the pod speaks it."""

    def __init__(self, means: Means, service: str, version: Version | None = None) -> None:
        self._calls, self._own_token = means.calls(service), means.own_token
        self._pods, self._service, self._version = means.pods, service, version

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
