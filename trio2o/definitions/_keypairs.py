"""Keypairs: kept at the top for each user, and carried to the pods that need them.

Pods are told with the appliance's own token and the user's id (Nova from 2.10 on): a pod that was
down gets what it missed without the user being there. No API lists those of all users, so a pod
is asked for a user's when the user first comes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial, reduce
from operator import getitem
from typing import Any
from urllib.parse import quote

from txaio.tx import make_logger

from trio2o.definitions._kind import Document, Step, another, canonical, judge
from trio2o.definitions._own import Means
from trio2o.definitions._places import Places, count
from trio2o.domain.errors import Conflict, Fault, PodUnavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import STRANGE, Definition, Pod, Settled
from trio2o.domain.versions import Version
from trio2o.pods import document
from trio2o.reconcile import Counted
from trio2o.store import definitions as rows

log = make_logger()

KIND = "keypair"

VERSION = Version(2, 10)
"""From here on a call may name the user whose key is meant."""

BATCH = 200

_ASKED = ("name", "type", "public_key", "user_id")


def key_of(user_id: str, name: str) -> str:
    return f"{user_id}/{name}"


def _path(keypair: Document) -> str:
    return f"/os-keypairs/{quote(keypair['name'], safe='')}?user_id={quote(keypair['user_id'])}"


class _InPods:
    """A user's key in a pod; it has its name for an id there. Two of one fingerprint are one."""

    name, service = KIND, "compute"

    def __init__(self, means: Means) -> None:
        self._calls, self._own_token = means.calls("compute"), means.own_token

    async def get(self, pod: Pod, path: str, *keys: str) -> Any:
        """What a pod shows at these keys; None if it knows nothing of that. Raises `Fault`."""
        token = await self._own_token()
        answer = await self._calls.ask(pod, token, "GET", path, version=VERSION, fine=(404,))
        if answer.status == 404:
            return None
        try:
            return reduce(getitem, keys, document(answer))
        except (KeyError, TypeError) as error:
            raise PodUnavailable(pod.pod_name, f"GET /os-keypairs: {error}") from None

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        seen = await self.get(pod, _path(wanted), "keypair", "fingerprint")
        return None if seen is None else ("", {**wanted, "fingerprint": seen})

    def in_pod(self, wanted: Document, pod: Pod) -> Document:
        return wanted

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        if wanted and seen and wanted["fingerprint"] == seen["fingerprint"]:
            return ()
        steps = [Step("DELETE", _path(seen), version=VERSION, fine=404)] if seen else []
        if wanted:
            told = {"keypair": {name: wanted[name] for name in _ASKED}}
            steps.append(Step("POST", "/os-keypairs", told, VERSION, fine=409))
        return tuple(steps)


class Keypairs:
    """Finds, records and settles keypairs. As a reconciler: every key in every pod."""

    name = "keypairs"

    def __init__(self, means: Means) -> None:
        self._now, self._store, self._kind = means.now, means.store, _InPods(means)
        self.places = Places(means, self._kind)

    async def find(self, user_id: str, name: str) -> Definition | None:
        """A user's key, if there is one of that name."""
        await self.adopt(user_id)
        found = await self.places.known(key_of(user_id, name))
        return found if found and not found.deleted_at else None

    async def of_user(self, user_id: str) -> list[Definition]:
        """A user's keys by name."""
        await self.adopt(user_id)
        find = partial(rows.list_definitions, kind=KIND, owner=user_id, deleted=False)
        return sorted(await self._store.read(find), key=lambda one: one.key)

    async def adopt(self, user_id: str) -> None:
        """Take up what the user had in pods before we knew of it; each pod is asked once."""
        asked = await self._store.read(lambda c: rows.asked_pods(c, user_id))
        fresh = [pod for pod in self.places.up() if pod.pod_id not in asked]
        await together(self._adopt_from(pod, user_id) for pod in fresh)

    async def _adopt_from(self, pod: Pod, user_id: str) -> None:
        try:
            path = f"/os-keypairs?user_id={quote(user_id)}"
            listed = await self._kind.get(pod, path, "keypairs")
            seen = [self._document(item["keypair"], user_id) for item in listed]
        except (Fault, KeyError, TypeError) as error:
            log.warn("pod {pod}: keypairs of a user: {why}", pod=pod.pod_name, why=str(error))
            return

        def take(connection: Any) -> None:
            for keypair in seen:
                key = key_of(user_id, keypair["name"])
                had = rows.settled_of(connection, KIND, key).get(pod.pod_id)
                if had is not None and had.version:
                    continue  # we brought it there: what became of it is for a pass to mend
                known = rows.find_definition(connection, KIND, key)
                known = known or self._record(connection, keypair)
                verdict = judge(self._kind, pod, known, keypair, None, mend=True)
                same = not (verdict.steps or verdict.strange)
                version = known.version if same else STRANGE
                told = Settled(KIND, key, pod.pod_id, version, verdict.problem)
                rows.put_settled(connection, [told])
            rows.put_asked(connection, user_id, pod.pod_id)

        await self._store.write(take)

    def _document(self, shown: Document, user_id: str) -> Document:
        """Raises `KeyError`."""
        told = {name: shown[name] for name in ("name", "public_key", "fingerprint")}
        more = {"type": shown.get("type", "ssh"), "user_id": user_id, "created_at": self._now()}
        return told | more

    def _record(self, connection: Any, keypair: Document) -> Definition:
        user_id = keypair["user_id"]
        key = key_of(user_id, keypair["name"])
        return rows.record_definition(connection, KIND, key, canonical(keypair), owner=user_id)

    async def created(self, pod: Pod, shown: Document, user_id: str) -> None:
        """Record what a pod made for the user, durably, and carry it to the others."""
        keypair = self._document(shown, user_id)

        def put(connection: Any) -> str:
            made = self._record(connection, keypair)
            settled = Settled(KIND, made.key, pod.pod_id, made.version)
            rows.put_settled(connection, [settled])
            rows.put_asked(connection, user_id, pod.pod_id)
            return made.key

        key = await self._store.write(put)
        await self._settle(key, (other for other in self.places.up() if other is not pod))

    async def delete(self, keypair: Definition) -> None:
        """Delete a key here, then in every pod that answers; the others follow."""
        key, text, now = keypair.key, keypair.document, self._now()
        await self._store.write(lambda c: rows.record_definition(c, KIND, key, text, now))
        await self._settle(key, self.places.up())

    async def _settle(self, key: str, pods: Iterable[Pod]) -> None:
        await self.places.try_all(key, pods)
        await self.places.bury(key)

    async def carry(self, user_id: str, name: str, pod: Pod) -> None:
        """See that a pod has a user's key before something needs it there.

        Raises `Conflict` if it has another key of that name, `PodUnavailable`.
        """
        await self.adopt(user_id)
        problem, _ = await self.places.bring(key_of(user_id, name), pod)
        if problem == another(self._kind):
            raise Conflict(f"Pod {pod.pod_name} has another key pair of the name '{name}'.")
        if problem:
            raise Conflict(f"Pod {pod.pod_name} cannot have key pair '{name}': {problem}.")

    async def conflicts(self, user_id: str, name: str) -> frozenset[str]:
        """The ids of pods that cannot have a key: what needs it cannot go there."""
        return await self.places.lacking(key_of(user_id, name))

    async def run(self) -> Counted:
        """Every key in every pod that answers."""
        counted, after = Counted(), 0
        while batch := await self._store.read(
            lambda c, after=after: rows.list_definitions(c, KIND, after=after, limit=BATCH)  # type: ignore[misc]
        ):
            for keypair in batch:
                told = await self.places.settled(keypair.key)
                for pod in self.places.up():
                    # else it is carried there when it is needed
                    if pod.pod_id in told or keypair.deleted_at:
                        count(counted, await self.places.attempt(keypair.key, pod))
                await self.places.bury(keypair.key)
            after = batch[-1].number
        return counted
