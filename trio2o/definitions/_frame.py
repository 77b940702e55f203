"""The frame of definitions: changed in one pod first, recorded, then settled in all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from attrs import evolve
from txaio.tx import make_logger

from trio2o.definitions._kind import Document, Kind, canonical, content, is_abreast, judge
from trio2o.definitions._own import Means
from trio2o.definitions._places import Outcome, Places, Refused, count
from trio2o.domain.errors import Conflict, Fault, NotFound, PodTimeout, PodUnavailable, Unavailable
from trio2o.domain.tasks import Turns, together
from trio2o.domain.values import ON_ITS_WAY, Definition, Pod, Settled
from trio2o.message import Answer
from trio2o.reconcile import Counted
from trio2o.store import definitions as rows

log = make_logger()

Attempt = Callable[[Pod, str], Awaitable[Answer]]
"""Sends the client's own call to a pod, given the definition's id there."""

Change = Callable[[Document | None], Document | None]
"""A definition as it is from now on, of what it was."""

RETRY = 30.0
"""Seconds until what failed is tried again."""


class Definitions:
    """All definitions of one kind. As a reconciler: each of them in each pod."""

    def __init__(
        self, means: Means, kind: Kind, wake: Callable[[str, float], None], *, mend: bool = True
    ) -> None:
        """`wake` asks for a pass within some seconds. Without `mend`, what changed in a pod is
        only reported."""
        self.kind, self.name = kind, f"{kind.name}s"
        self.places = Places(means, kind, mend=mend)
        self._now, self._store, self._wake, self._mend = means.now, means.store, wake, mend
        self._turns: Turns[str] = Turns()

    async def find(self, key: str) -> Definition | None:
        """A definition that stands."""
        found = await self.places.known(key)
        return found if found and not found.deleted_at else None

    async def all(self) -> tuple[Definition, ...]:
        """Those that stand, in the order in which they were recorded."""
        return tuple(one for one in await self.places.recorded() if not one.deleted_at)

    # changes

    async def change(
        self, key: str, attempt: Attempt, made: Callable[[Answer], str] | None = None
    ) -> tuple[Pod, Answer]:
        """Try a change in one pod, whose answer it is; record what the pod has then; settle it in
        the others. If one of them refuses, it is undone, and that pod's answer is returned.

        `made` is for what is new: it tells the id that the answer names; `key` is empty where the
        pod chooses it. Raises `Fault`. What became of a change of which that is not known is found
        out by the next pass.
        """
        async with self._turns.of(key):
            old = await self._met(key, new=made is not None) if key else None
            places = await self.places.holders(key) if key else [(p, "") for p in self.places.up()]
            lost: Fault = Unavailable("No pod can be asked at the moment.")
            last: tuple[Pod, Answer] | None = None
            for pod, bottom in places:
                async with self.places.turns.of((key, pod.pod_id)):
                    try:
                        answer, new = await self._attempt(key, pod, bottom, attempt, made)
                    except PodUnavailable as fault:  # nothing was done there
                        lost = fault
                        continue
                if new is not None:
                    refused = await self._carry(new, old)
                    return (refused.pod, refused.answer) if refused else (pod, answer)
                last = last or (pod, answer)
                if answer.status != 404 or made:
                    break
            if last is None:
                raise lost
            return last

    async def _met(self, key: str, *, new: bool) -> Definition | None:
        """A definition that is about to change: what is pending was found out, and pods that have
        the same already are known to have it."""
        definition = await self.places.known(key)
        if definition is None and not new:
            await self._take_up(key, self.places.up())
            definition = await self.places.known(key)
        if definition is None:
            return None
        if definition.pending:
            await self._recover(definition)
        told = await self.places.settled(key)
        await self.places.try_all(key, [p for p in self.places.up() if p.pod_id not in told])
        return await self.places.known(key)

    async def _attempt(
        self,
        key: str,
        pod: Pod,
        bottom: str,
        attempt: Attempt,
        made: Callable[[Answer], str] | None,
    ) -> tuple[Answer, Definition | None]:
        """Try the change in a pod; what it said, and what is recorded if it was done there."""
        await self._pending(key, pod)
        try:
            answer = await attempt(pod, bottom)
        except PodUnavailable:
            await self._pending(key, None)
            raise
        except Fault:
            self._wake(self.name, RETRY)
            raise
        if not answer.ok:
            if answer.status < 500:
                await self._pending(key, None)
            else:  # it may have been done all the same
                self._wake(self.name, RETRY)
            return answer, None
        try:
            if made:
                key = bottom = made(answer)
            found = await self.kind.look(pod, bottom, {})
        except Fault as fault:
            self._wake(self.name, RETRY)
            raise PodTimeout(pod.pod_name, fault.message) from None
        return answer, await self._record(key, found and found[1], (pod, bottom))

    async def _carry(self, new: Definition, old: Definition | None) -> Refused | None:
        """Settle a change in all pods that answer, or undo it everywhere: why, then.

        Raises `Conflict` if a pod has another thing in its place.
        """
        pods = self.places.up()
        if not new.deleted_at:  # who has a problem with it already is no reason to refuse
            told = await self.places.settled(new.key)
            pods = [p for p in pods if not ((one := told.get(p.pod_id)) and one.problem)]
        outcomes = await self.places.try_all(new.key, pods)
        await self.places.bury(new.key)
        if Outcome.FAILED in outcomes.values():
            self._wake(self.name, RETRY)
        refused = [o for o in outcomes.values() if isinstance(o, Refused)]
        if not refused and Outcome.REPORTED not in outcomes.values():
            return None
        stood = old is not None and not old.deleted_at
        await self._record(new.key, content(old.document) if old and stood else None)
        await self.places.try_all(new.key, self.places.up())
        await self.places.bury(new.key)
        if refused:
            return refused[0]
        name = content(new.document).get("name")
        raise Conflict(self.kind.taken.format(key=new.key, name=name))

    async def define(self, key: str, change: Change) -> Answer | None:
        """Make a definition what it should be where the top itself decides that.

        `change` is given what it is (None: there is none) and tells what it is from now on (None:
        deleted). What a pod says against it, after it was undone; None if it is done.
        """
        async with self._turns.of(key):
            old = await self.places.known(key)
            stands = old is not None and not old.deleted_at
            wanted = change(content(old.document) if old and stands else None)
            new = await self._record(key, wanted)
            refused = await self._carry(new, old) if new else None
            return refused.answer if refused else None

    async def _pending(self, key: str, pod: Pod | None) -> None:
        if await self.places.known(key) is None:
            return
        pod_id = pod.pod_id if pod else ""
        await self._store.write(lambda c: rows.set_pending(c, self.kind.name, key, pod_id))

    async def _record(
        self, key: str, found: Document | None, place: tuple[Pod, str] | None = None
    ) -> Definition | None:
        """Record, durably, what a definition is from now on (None: deleted), and who has it so,
        under which id. None if there is nothing to record."""
        gone = "" if found is not None else self._now()

        def put(connection: Any) -> tuple[Definition, Settled | None] | None:
            old = rows.find_definition(connection, self.kind.name, key)
            if found is None and old is None:
                return None
            text = canonical(found) if found is not None else old.document if old else ""
            new = rows.record_definition(connection, self.kind.name, key, text, gone)
            if place is None:
                return new, None
            pod, bottom = place
            # what is otherwise in this pod than in others is brought there yet
            whole = found is None or not self.kind.plan(self.kind.in_pod(found, pod), found)
            version = new.version if whole else ON_ITS_WAY
            has = Settled(self.kind.name, key, pod.pod_id, version, bottom_id=bottom)
            rows.put_settled(connection, [has])
            return new, has

        done = await self._store.write(put)
        if done is None:
            return None
        if done[1] is not None:
            self.places.learn_id(done[1])
        return done[0]

    async def _recover(self, definition: Definition) -> bool:
        """Look what became of a change that was being tried: it is carried on, or forgotten.
        Whether that is known."""
        pod = self.places.pod(definition.pending)
        if pod is None:
            await self._pending(definition.key, None)
            return True
        one = (await self.places.settled(definition.key)).get(pod.pod_id)
        bottom = (one.bottom_id if one else "") or definition.key
        try:
            found = await self.kind.look(pod, bottom, content(definition.document))
        except Fault:
            return False
        seen = found and found[1]
        last = None if definition.deleted_at else content(definition.document)
        if self.kind.plan(last and self.kind.in_pod(last, pod), seen):
            await self._record(definition.key, seen, (pod, bottom))
        else:
            await self._pending(definition.key, None)
        return True

    async def _take_up(self, key: str, pods: Iterable[Pod]) -> Definition | None:
        """Make a definition of what a pod has by itself; the first of these that has it."""
        for pod in pods:
            try:
                found = await self.kind.look(pod, key, {})
            except Fault:
                continue
            if found is not None:
                return await self._record(key, found[1], (pod, found[0]))
        return None

    # what an operator decides

    async def choose(self, key: str, pod: Pod | None) -> None:
        """Say whose version of a definition is right: a pod's, or what the top has (None).

        Raises `NotFound`, `Fault`.
        """
        async with self._turns.of(key):
            definition = await self.find(key)
            if definition is None:
                raise NotFound("Definition not found")
            if pod is None:
                await self._overrule(key)
            else:
                await self._believe(definition, pod)
            await self.places.try_all(key, self.places.up())
            await self.places.bury(key)

    async def _overrule(self, key: str) -> None:
        """What pods have otherwise is ours to change."""
        told = (await self.places.settled(key)).values()
        ours = [evolve(one, version=ON_ITS_WAY) for one in told if one.problem]
        await self._store.write(lambda c: rows.put_settled(c, ours))

    async def _believe(self, definition: Definition, pod: Pod) -> None:
        """A pod's own is the definition from now on."""
        one = (await self.places.settled(definition.key)).get(pod.pod_id)
        id = one.bottom_id if one else ""
        found = await self.kind.look(pod, id, content(definition.document))
        if found is None or found[1].get("id", definition.key) == definition.key:
            await self._record(definition.key, found and found[1], (pod, found[0] if found else ""))
            return
        # it goes by another id: that is the one to keep
        await self._record(definition.key, None)
        await self.places.try_all(definition.key, self.places.up())
        await self._take_up(found[0], [pod])
        await self.places.try_all(found[0], self.places.up())

    # passes

    async def run(self) -> Counted:
        """Every definition in every pod that answers."""
        counted = Counted()
        for definition in await self.places.recorded():
            if definition.pending:
                async with self._turns.of(definition.key):
                    again = await self.places.known(definition.key)
                    if again and again.pending and not await self._recover(again):
                        counted.failed += 1
        pods = self.places.up()
        views = dict(zip(pods, await together(self._view(pod) for pod in pods), strict=True))
        seen = {pod: view for pod, view in views.items() if view is not None}
        unreachable = len(views) - len(seen)
        if self.kind.adopts:
            for pod, view in seen.items():
                await self._adopt(pod, view, counted)
        told = await self.places.settled_of_all()
        for definition in await self.places.recorded():
            outcomes = await together(
                self._pass(definition, pod, view, told.get((definition.key, pod.pod_id)), counted)
                for pod, view in seen.items()
            )
            unreachable += outcomes.count(Outcome.FAILED)
            await self.places.bury(definition.key)
        counted.failed += len(views) - len(seen)
        if unreachable:
            self._wake(self.name, RETRY)
        return counted

    async def _view(self, pod: Pod) -> Mapping[str, Document] | None:
        try:
            return await self.kind.observe(pod)
        except Fault as fault:
            why = getattr(fault, "why", fault.message)
            log.warn("pod {pod}: {name}: {why}", pod=pod.pod_name, name=self.name, why=why)
            return None

    async def _adopt(self, pod: Pod, view: Mapping[str, Document], counted: Counted) -> None:
        """Make definitions of what the pod has and nobody knows."""
        recorded = await self.places.recorded()
        told = await self.places.settled_of_all()
        here = {one.key: one.bottom_id for one in told.values() if one.pod_id == pod.pod_id}
        known = {*(one.key for one in recorded), *here.values()}
        # what is looked for here yet is found by its name
        sought = Counter(
            content(one.document).get("name")
            for one in recorded
            if not one.deleted_at and not here.get(one.key)
        )
        for id, shown in view.items():
            if id in known:
                continue
            if sought[shown.get("name")]:
                sought[shown.get("name")] -= 1
                continue
            async with self._turns.of(id):
                if await self.places.known(id) is None and await self._take_up(id, [pod]):
                    counted.drift += 1
                    counted.mended += 1

    async def _pass(
        self,
        definition: Definition,
        pod: Pod,
        view: Mapping[str, Document],
        ours: Settled | None,
        counted: Counted,
    ) -> Outcome | Refused:
        """One definition in one pod, which had `view` a moment ago."""
        outcome: Outcome | Refused | None = None
        if ours is not None and is_abreast(ours, definition):
            seen = view.get(ours.bottom_id or definition.key)
            verdict = judge(self.kind, pod, definition, seen, ours, mend=self._mend)
            if not verdict.steps and not verdict.problem:
                outcome = Outcome.NOTHING
        outcome = outcome or await self.places.attempt(definition.key, pod)
        count(counted, outcome)
        return outcome
