"""What the definitions of Cinder have in common: how a pod is asked, names, access."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import quote, urlencode

from trio2o.definitions._kind import Document, Step
from trio2o.domain.errors import PodUnavailable
from trio2o.domain.values import Pod
from trio2o.domain.versions import Version
from trio2o.pods import OwnCalls, Pods, document


class Cinders:
    """Asks the pods' Cinders as ourselves."""

    def __init__(
        self,
        clock: Any,
        pods: Pods,
        own_token: Callable[[], Awaitable[str]],
        version: Version | None = None,
    ) -> None:
        self._calls, self._own_token, self._version = (
            OwnCalls(clock, pods, "volume"),
            own_token,
            version,
        )

    async def get(self, pod: Pod, path: str, fine: tuple[int, ...] = ()) -> Document:
        """A document; what is `fine` (404, say) is one too. Raises `Fault`."""
        token = await self._own_token()
        answer = await self._calls.ask(pod, token, "GET", path, version=self._version, fine=fine)
        try:
            return document(answer)
        except KeyError as error:
            raise PodUnavailable(pod.pod_name, f"GET {path}: {error}") from None

    async def one(self, pod: Pod, path: str, key: str, id: str) -> Document | None:
        """A thing by its id."""
        found = (await self.get(pod, f"{path}/{quote(id, safe='')}", (404,))).get(key)
        # `default` is no id, though it can be asked for
        return found if isinstance(found, dict) and found.get("id") == id else None

    async def all(self, pod: Pod, path: str, key: str, links: str) -> list[Document]:
        """A whole list, page by page. Raises `Fault`."""
        found: list[Document] = []
        while True:
            # private types too; QoS specs are none of either, and none are found if it is asked
            query = {} if key == "qos_specs" else {"is_public": "None"}
            query |= {"marker": found[-1]["id"]} if found else {}
            answer = await self.get(pod, f"{path}?{urlencode(query)}")
            rows = answer.get(key)
            if not isinstance(rows, list):
                raise PodUnavailable(pod.pod_name, f"its list of {key} is none")
            found += rows
            if not rows or not answer.get(links):
                return found

    async def named(
        self, pod: Pod, path: str, key: str, links: str, wanted: Document
    ) -> Document | None:
        """The thing that has the name of what is wanted."""
        rows = await self.all(pod, path, key, links) if wanted.get("name") else []
        return next((row for row in rows if row.get("name") == wanted["name"]), None)


def specs_steps(path: str, key: str, have: Document, want: Document) -> list[Step]:
    """What makes extra specs (or the like, under a path of their own) these."""
    steps = [
        Step("DELETE", f"{path}/{quote(name, safe='')}", gone=True)
        for name in sorted(set(have) - set(want))
    ]
    if changed := {name: value for name, value in want.items() if have.get(name) != value}:
        steps.append(Step("POST", path, {key: changed}))
    return steps
