"""Keypairs: kept at the top for each user, and carried to the pods that need them.

Pods are told with the appliance's own token and the user's id (Nova from 2.10 on): a pod that was
down gets what it missed without the user being there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from enum import Enum
from typing import Any
from urllib.parse import quote

from txaio.tx import make_logger

from trio2o.domain.errors import Conflict, Fault
from trio2o.domain.tasks import together
from trio2o.domain.values import Keypair, Pod, Settled
from trio2o.domain.versions import Version
from trio2o.message import Answer
from trio2o.pods import OwnCalls, Pods, document
from trio2o.reconcile import Counted
from trio2o.store import Store, definitions
from trio2o.store import keypairs as rows

log = make_logger()

VERSION = Version(2, 10)
"""From here on a call may name the user whose key is meant."""

BATCH = 200

ANOTHER = "another key of this name is in the pod"


class Step(Enum):
    """What is to be done in a pod."""

    NOTHING = "nothing"
    CREATE = "create"
    DELETE = "delete"
    REPLACE = "replace"
    REPORT = "report"


def plan(wanted: Keypair, seen: str | None, ours: Settled | None) -> Step:
    """From what should be (`wanted`), the fingerprint that the pod has (None: no key of this
    name), and what we settled there before.

    A key that we never put or found there is somebody's: it is reported and left alone.
    """
    if wanted.deleted_at:
        return Step.NOTHING if seen is None or _strange(wanted, seen, ours) else Step.DELETE
    if seen is None:
        return Step.CREATE
    if seen == wanted.fingerprint:
        return Step.NOTHING
    return Step.REPORT if _strange(wanted, seen, ours) else Step.REPLACE


def _strange(wanted: Keypair, seen: str, ours: Settled | None) -> bool:
    return seen != wanted.fingerprint and (ours is None or ours.version == 0)


class Keypairs:
    """Finds, records and settles keypairs. As a reconciler: every key in every pod."""

    name = "keypairs"

    def __init__(
        self,
        clock: Any,
        now: Callable[[], str],
        store: Store,
        pods: Pods,
        own_token: Callable[[], Awaitable[str]],
    ) -> None:
        """`now` is the time of day as it is shown; `own_token` one that may act for any user."""
        self._now, self._store, self._pods = now, store, pods
        self._calls = OwnCalls(clock, pods)
        self._own_token = own_token

    async def find(self, user_id: str, name: str) -> Keypair | None:
        """A user's key, if there is one of that name."""
        await self.adopt(user_id)
        found = await self._store.read(lambda c: rows.find_keypair(c, user_id, name))
        return found if found and not found.deleted_at else None

    async def of_user(self, user_id: str) -> tuple[Keypair, ...]:
        """A user's keys by name."""
        await self.adopt(user_id)
        return await self._store.read(lambda c: rows.list_keypairs(c, user_id))

    async def adopt(self, user_id: str) -> None:
        """Take up what the user had in pods before we knew of it; each pod is asked once."""
        asked = await self._store.read(lambda c: rows.asked_pods(c, user_id))
        fresh = [pod for pod in self._up() if pod.pod_id not in asked]
        await together(self._adopt_from(pod, user_id) for pod in fresh)

    async def _adopt_from(self, pod: Pod, user_id: str) -> None:
        try:
            answer = await self._ask(pod, "GET", f"/os-keypairs?user_id={quote(user_id)}")
            listed = document(answer)["keypairs"]
            seen = [_keypair(item["keypair"], user_id, self._now()) for item in listed]
        except (Fault, KeyError, TypeError) as error:
            log.warn("pod {pod}: keypairs of a user: {why}", pod=pod.pod_name, why=str(error))
            return

        def take(connection: Any) -> None:
            for keypair in seen:
                had = definitions.settled_of(connection, rows.KIND, keypair.key).get(pod.pod_id)
                if had is not None and had.version:
                    continue  # we brought it there: what became of it is for a pass to mend
                old = rows.find_keypair(connection, user_id, keypair.name)
                if old is None:
                    old = rows.put_keypair(connection, keypair)
                same = old.fingerprint == keypair.fingerprint and not old.deleted_at
                told = Settled(rows.KIND, keypair.key, pod.pod_id, old.version if same else 0)
                if not same and not old.deleted_at:
                    told = Settled(rows.KIND, keypair.key, pod.pod_id, 0, ANOTHER)
                definitions.put_settled(connection, [told])
            rows.put_asked(connection, user_id, pod.pod_id)

        await self._store.write(take)

    async def created(self, pod: Pod, document: dict[str, Any], user_id: str) -> Keypair:
        """Record what a pod made for the user, durably, and carry it to the others."""
        wanted = _keypair(document, user_id, self._now())

        def put(connection: Any) -> Keypair:
            made = rows.put_keypair(connection, wanted)
            settled = Settled(rows.KIND, made.key, pod.pod_id, made.version)
            definitions.put_settled(connection, [settled])
            rows.put_asked(connection, user_id, pod.pod_id)
            return made

        made = await self._store.write(put)
        await self._settle_all(made, (other for other in self._up() if other is not pod))
        return made

    async def delete(self, keypair: Keypair) -> None:
        """Delete a key here, then in every pod that answers; the others follow."""
        now = self._now()
        await self._store.write(
            lambda c: rows.delete_keypair(c, keypair.user_id, keypair.name, now)
        )
        gone = await self._store.read(lambda c: rows.find_keypair(c, keypair.user_id, keypair.name))
        if gone is not None:
            await self._settle_all(gone, self._up())

    async def conflicts(self, user_id: str, name: str) -> frozenset[str]:
        """Pods that have another key of the name: what needs this one cannot go there."""
        found = await self._store.read(
            lambda c: definitions.settled_of(c, rows.KIND, f"{user_id}/{name}")
        )
        return frozenset(pod_id for pod_id, one in found.items() if one.problem)

    async def carry(self, user_id: str, name: str, pod: Pod) -> None:
        """See that a pod has a user's key before something needs it there.

        Raises `Conflict` if it has another key of that name, `PodUnavailable`.
        """
        wanted = await self.find(user_id, name)
        if wanted is None:
            return  # the pod has its own words for that
        found = await self._store.read(lambda c: definitions.settled_of(c, rows.KIND, wanted.key))
        ours = found.get(pod.pod_id)
        if ours is not None and ours.version == wanted.version:
            return
        if await self.settle(wanted, pod, ours) is Step.REPORT:
            raise Conflict(f"Pod {pod.pod_name} has another key pair of the name '{name}'.")

    async def _settle_all(self, keypair: Keypair, pods: Iterable[Pod]) -> None:
        found = await self._store.read(lambda c: definitions.settled_of(c, rows.KIND, keypair.key))
        await together(self._try(keypair, pod, found.get(pod.pod_id)) for pod in pods)
        await self._bury(keypair)

    async def _try(self, keypair: Keypair, pod: Pod, ours: Settled | None) -> Step | None:
        """None if the pod could not be settled."""
        try:
            return await self.settle(keypair, pod, ours)
        except Fault as fault:
            log.warn("pod {pod}: a keypair: {why}", pod=pod.pod_name, why=fault.message)
            return None

    async def settle(self, wanted: Keypair, pod: Pod, ours: Settled | None) -> Step:
        """Make a pod have what should be; what was done. Raises `Fault`.

        It may be run again at any time: each step finds what the last one left.
        """
        path = f"/os-keypairs/{quote(wanted.name, safe='')}?user_id={quote(wanted.user_id)}"
        answer = await self._ask(pod, "GET", path, fine=(404,))
        seen = None if answer.status == 404 else str(document(answer)["keypair"]["fingerprint"])
        step = plan(wanted, seen, ours)
        if step in (Step.DELETE, Step.REPLACE):
            await self._ask(pod, "DELETE", path, fine=(404,))
        if step in (Step.CREATE, Step.REPLACE):
            keypair = {
                "name": wanted.name,
                "public_key": wanted.public_key,
                "type": wanted.type,
                "user_id": wanted.user_id,
            }
            await self._ask(pod, "POST", "/os-keypairs", {"keypair": keypair}, fine=(409,))
        problem = ANOTHER if step is Step.REPORT else ""
        version = 0 if problem else wanted.version
        if ours is None or (ours.version, ours.problem) != (version, problem):
            told = Settled(rows.KIND, wanted.key, pod.pod_id, version, problem)
            await self._store.write(lambda c: definitions.put_settled(c, [told]))
            if problem:
                log.warn("pod {pod}: keypair: {why}", pod=pod.pod_name, why=problem)
        return step

    async def _bury(self, keypair: Keypair) -> None:
        """Forget a deleted key that no pod has any more."""
        if not keypair.deleted_at:
            return
        found = await self._store.read(lambda c: definitions.settled_of(c, rows.KIND, keypair.key))
        pods = self._pods.serving("compute")
        done = all(
            (one := found.get(pod.pod_id)) is not None and one.version == keypair.version
            for pod in pods
        )
        if done:
            await self._store.write(lambda c: rows.forget_keypair(c, keypair))

    async def run(self) -> Counted:
        """Every key in every pod that answers."""
        counted, after = Counted(), 0
        while batch := await self._store.read(
            lambda c, after=after: rows.keypairs_of_all(c, after, BATCH)  # type: ignore[misc]
        ):
            for keypair in batch:
                await self._look(keypair, counted)
            after = batch[-1].number
        return counted

    async def _look(self, keypair: Keypair, counted: Counted) -> None:
        found = await self._store.read(lambda c: definitions.settled_of(c, rows.KIND, keypair.key))
        for pod in self._up():
            ours = found.get(pod.pod_id)
            if ours is None and not keypair.deleted_at:
                continue  # it is carried there when it is needed
            counted.looked += 1
            step = await self._try(keypair, pod, ours)
            counted.drift += step not in (Step.NOTHING, None)
            counted.mended += step in (Step.CREATE, Step.DELETE, Step.REPLACE)
            counted.failed += step in (Step.REPORT, None)
        await self._bury(keypair)

    def _up(self) -> list[Pod]:
        pods = self._pods.serving("compute")
        return [pod for pod in pods if not self._pods.is_down(pod, "compute")]

    async def _ask(
        self, pod: Pod, method: str, path: str, body: Any = None, fine: tuple[int, ...] = ()
    ) -> Answer:
        """Raises `Fault`."""
        token = await self._own_token()
        return await self._calls.ask(pod, token, method, path, body, version=VERSION, fine=fine)


def _keypair(shown: dict[str, Any], user_id: str, now: str) -> Keypair:
    """Raises `KeyError`."""
    return Keypair(
        user_id=user_id,
        name=shown["name"],
        type=shown.get("type", "ssh"),
        public_key=shown["public_key"],
        fingerprint=shown["fingerprint"],
        created_at=now,
    )
