"""Calls to Neutron, the top's and the pods', as ourselves or as a tenant."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

import msgspec
from attrs import frozen

from trio2o.domain.errors import Fault, PodUnavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import Pod
from trio2o.message import Answer, Headers
from trio2o.networks._things import OPTIONAL, PROXY, Kind, Row
from trio2o.pods import OwnCalls, Pods

PAGE = 1000

AT_ONCE = 8
"""Things at once whose parts are asked for."""

LINE = 3200
"""Characters of ids in one query: a request line of 4 KiB is taken everywhere."""


class Refused(Fault):
    """Neutron refused a call. `kind` is its own name of the error."""

    def __init__(self, status: int, message: str, kind: str, where: str) -> None:
        super().__init__(message, kind=kind)
        self.status = status
        self.where = where

    def __str__(self) -> str:
        return f"{self.where}: {self.status} {self.kind}: {self.message}"


def said_by(answer: Answer, pod: Pod, call: str) -> dict[str, Any]:
    """What a Neutron's answer says. Raises `Refused`, `PodUnavailable` if it is none of its."""
    where = f"{pod.pod_name}: {call}"
    try:
        said = msgspec.json.decode(answer.body) if answer.body else {}  # type: ignore[arg-type]
        if not answer.ok:
            error = said["NeutronError"]
            raise Refused(answer.status, str(error["message"]), str(error["type"]), where)
        if not isinstance(said, dict):
            raise TypeError(type(said).__name__)
    except (msgspec.MsgspecError, KeyError, TypeError):
        if answer.ok or answer.status >= 500 or answer.status == 401:
            raise PodUnavailable(pod.pod_name, f"{where}: status {answer.status}") from None
        raise Refused(answer.status, "The call was refused.", "", where) from None
    return said


@frozen
class Neutron:
    """`own_token` gives a token of ours, which may act for any project."""

    clock: Any
    pods: Pods
    own_token: Callable[[], Awaitable[str]]

    async def ask(
        self,
        pod: Pod,
        method: str,
        path: str,
        body: Any = None,
        *,
        query: Iterable[tuple[str, Any]] = (),
        token: str = "",
        headers: Headers = (),
    ) -> dict[str, Any]:
        """What Neutron says; as ourselves unless a token is given. Raises `Refused`, `Fault`."""
        own = await self.own_token()
        if token:
            headers = (*headers, (b"X-Service-Token", own.encode()))
        calls = OwnCalls(self.clock, self.pods, "network")
        answer = await calls.send(
            pod, token or own, method, path, body, query=query, headers=headers
        )
        return said_by(answer, pod, f"{method} {path}")

    async def rows(
        self, pod: Pod, kind: Kind, *, fields: Iterable[str] = (), token: str = "", **filters: Any
    ) -> list[Row]:
        """All rows that filters leave. Raises `Refused`, `Fault`."""
        query: list[tuple[str, Any]] = [("fields", name) for name in fields or kind.fields]
        query += filters.items()
        query.append(("limit", PAGE))
        found: list[Row] = []
        marker: list[tuple[str, Any]] = []
        while True:
            said = await self._page(pod, kind, query + marker, token)
            try:
                page: list[Row] = said[kind.rows]
                found += page
                links = said.get(f"{kind.rows}_links") or ()
                if not page or not any(link["rel"] == "next" for link in links):
                    return await self._whole(pod, kind, found, token)
                marker = [("marker", page[-1]["id"])]
            except (KeyError, TypeError):
                raise PodUnavailable(pod.pod_name, f"{kind.path}: its list is none") from None

    async def _page(
        self, pod: Pod, kind: Kind, query: list[tuple[str, Any]], token: str
    ) -> dict[str, Any]:
        try:
            return await self.ask(pod, "GET", f"/{kind.path}", query=query, token=token)
        except Refused as refused:
            if refused.status != 404 or kind not in OPTIONAL:
                raise
            return {kind.rows: []}  # this Neutron does not have the extension

    async def by_ids(
        self,
        pod: Pod,
        kind: Kind,
        ids: Collection[str],
        *,
        name: str = "id",
        fields: Iterable[str] = (),
        token: str = "",
        also: Iterable[tuple[str, str]] = (),
    ) -> list[Row]:
        """The rows whose `name` is one of these, and that have what else is asked for.

        Raises `Refused`, `Fault`.
        """
        if kind is PROXY and ids:  # Neutron filters them by nothing
            every = await self.rows(pod, kind, fields=fields, token=token)
            return [row for row in every if row[name] in ids]
        wanted = sorted(set(ids))
        size = LINE // (len(name) + 4 + max(map(len, wanted), default=0))
        some = [wanted[start : start + size] for start in range(0, len(wanted), size)]
        columns = list(fields or kind.fields)

        async def ask(part: list[str]) -> list[Row]:
            query = [("fields", one) for one in columns] + [(name, id) for id in part]
            query += also
            said = await self._page(pod, kind, query, token)
            rows: list[Row] = said.get(kind.rows) or []
            return rows

        found = [row for rows in await together(ask(part) for part in some) for row in rows]
        return await self._whole(pod, kind, found, token)

    async def parts(self, pod: Pod, kind: Kind, id: str, token: str = "") -> list[Any]:
        """The parts of a thing. Raises `Refused`, `Fault`."""
        parts = kind.parts
        assert parts is not None
        thing = f"/{kind.path}/{id}"
        path = parts.path.format(thing=thing) if parts.apart else thing
        query = [(parts.owner, id)] if parts.owner and id else []
        said = await self.ask(pod, "GET", path, query=query, token=token)
        found: list[Any] = (said if parts.apart else said[kind.key])[parts.name]
        return found

    async def _whole(self, pod: Pod, kind: Kind, found: list[Row], token: str) -> list[Row]:
        """The rows with those of their parts that a list leaves out."""
        if (parts := kind.parts) is None or not parts.left_out or not found:
            return found

        async def fill(row: Row) -> None:
            row[parts.name] = await self.parts(pod, kind, row["id"], token)

        if parts.owner:
            told = await self.parts(pod, kind, "", token)
            for row in found:
                row[parts.name] = [one for one in told if one[parts.owner] == row["id"]]
            return found
        bare = [
            row
            for row in found
            if parts.name not in row or not all(map(_is_whole, row[parts.name]))
        ]
        for start in range(0, len(bare), AT_ONCE):
            await together(fill(row) for row in bare[start : start + AT_ONCE])
        return found


def _is_whole(forwarding: Row) -> bool:
    """Whether a port forwarding is told with its ports: lists leave ranges out."""
    return bool(forwarding.get("internal_port") and forwarding.get("external_port"))
