"""What the pods have of the definitions of one kind: who has it, and bringing it to them."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import Enum
from urllib.parse import quote

from attrs import evolve
from txaio.tx import make_logger

from trio2o.definitions._kind import Placed, Step, Verdict, content, is_abreast, judge, words
from trio2o.definitions._own import Means
from trio2o.domain.errors import Fault, NotFound, PodUnavailable
from trio2o.domain.tasks import Turns, together
from trio2o.domain.values import ON_ITS_WAY, STRANGE, Definition, Pod, Settled
from trio2o.message import Answer
from trio2o.pods import document
from trio2o.reconcile import Counted
from trio2o.store import definitions as rows

log = make_logger()

REFUSALS = frozenset(range(400, 500)) - {401, 408, 429}
"""What a pod says to what it will not do; anything else that fails is worth another try."""


class Refused(Exception):
    """A pod will not have a definition: what it answered."""

    def __init__(self, pod: Pod, answer: Answer) -> None:
        super().__init__(f"pod {pod.pod_name}")
        self.pod, self.answer = pod, answer


class Outcome(Enum):
    """What came of settling one definition in one pod."""

    NOTHING = "nothing"
    DONE = "done"
    REPORTED = "reported"
    FAILED = "failed"


def count(counted: Counted, outcome: Outcome | Refused) -> None:
    """Add to what a pass found."""
    reported = isinstance(outcome, Refused) or outcome is Outcome.REPORTED
    counted.looked += 1
    counted.drift += reported or outcome is Outcome.DONE
    counted.mended += outcome is Outcome.DONE
    counted.failed += reported or outcome is Outcome.FAILED


class Places:
    """Settles definitions in pods, and knows which pod has which."""

    def __init__(self, means: Means, kind: Placed, *, mend: bool = True) -> None:
        self.kind, self._mend = kind, mend
        self._store, self._pods, self._own_token = means.store, means.pods, means.own_token
        self._calls = means.calls(kind.service)
        self.turns: Turns[tuple[str, str]] = Turns()
        self.tops: dict[str, str] = {}
        """Ids in pods that are not the tenants', with those."""
        self._ids: dict[str, dict[str, str]] = {}

    async def load(self) -> None:
        """Read the ids in pods again: this process or another changed some."""
        found = await self._store.read(lambda c: rows.settled_of_kind(c, self.kind.name))
        self.tops.clear()
        for one in found:
            self.learn_id(one)

    def learn_id(self, one: Settled) -> None:
        if one.version == STRANGE or not one.bottom_id:
            return
        self._ids.setdefault(one.pod_id, {})[one.key] = one.bottom_id
        if one.bottom_id != one.key:
            self.tops[one.bottom_id] = one.key

    def ids_in(self, pod: Pod) -> Mapping[str, str]:
        """The tenants' ids of what a pod has, with its own."""
        return self._ids.get(pod.pod_id, {})

    async def known(self, key: str) -> Definition | None:
        """Also one that is deleted, as long as a pod may have it."""
        return await self._store.read(lambda c: rows.find_definition(c, self.kind.name, key))

    async def recorded(self) -> tuple[Definition, ...]:
        return await self._store.read(lambda c: rows.list_definitions(c, self.kind.name))

    async def settled(self, key: str) -> dict[str, Settled]:
        return await self._store.read(lambda c: rows.settled_of(c, self.kind.name, key))

    async def settled_of_all(self) -> dict[tuple[str, str], Settled]:
        """By the key of the definition and the pod's id."""
        found = await self._store.read(lambda c: rows.settled_of_kind(c, self.kind.name))
        return {(one.key, one.pod_id): one for one in found}

    def up(self) -> list[Pod]:
        pods = self._pods.serving(self.kind.service)
        return [pod for pod in pods if not self._pods.is_down(pod, self.kind.service)]

    def pod(self, pod_id: str) -> Pod | None:
        return self._pods.get(pod_id)

    async def holders(self, key: str) -> list[tuple[Pod, str]]:
        """The pods that answer and have a definition as it is now (or no more what was deleted),
        with its id there. If none has, it is brought to those that can be asked."""
        if not (found := await self._holders(key)):
            await self.try_all(key, self.up())
            found = await self._holders(key)
        return found

    async def _holders(self, key: str) -> list[tuple[Pod, str]]:
        definition = await self.known(key)
        if definition is None:
            return [(pod, key) for pod in self.up()]
        told = await self.settled(key)
        return [
            (pod, one.bottom_id or key)
            for pod in self.up()
            if (one := told.get(pod.pod_id)) and is_abreast(one, definition)
        ]

    async def readers(self) -> list[tuple[Pod, frozenset[str]]]:
        """The pods that answer, the one that has most of what should be first; each with the keys
        of what is not as it should be there."""
        up = self.up()
        ids = [pod.pod_id for pod in up]
        if not await self._store.read(lambda c: rows.any_behind(c, self.kind.name, ids)):
            return [(pod, frozenset()) for pod in up]
        behind = await self._behind(up)
        first = min(up, key=lambda pod: len(behind[pod.pod_id]))
        late = [key for key, problem in behind[first.pod_id].items() if not problem]
        if late:
            await together(self.attempt(key, first) for key in late)
            behind = await self._behind(up)
        up.sort(key=lambda pod: len(behind[pod.pod_id]))
        return [(pod, frozenset(behind[pod.pod_id])) for pod in up]

    async def _behind(self, pods: Sequence[Pod]) -> dict[str, dict[str, str]]:
        """What is not as it should be in these pods, with what is known to be wrong, by their
        ids."""
        recorded, told = await self.recorded(), await self.settled_of_all()
        return {
            pod.pod_id: {
                d.key: one.problem if one else ""
                for d in recorded
                if (one := told.get((d.key, pod.pod_id))) is None or not is_abreast(one, d)
            }
            for pod in pods
        }

    async def lacking(self, key: str) -> frozenset[str]:
        """The ids of pods that cannot have a definition: another is in its place, or they refuse
        it. What others miss is carried to them when it is needed."""
        told = (await self.settled(key)).values()
        return frozenset(one.pod_id for one in told if one.problem)

    async def carry(self, key: str, pod: Pod) -> str:
        """See that a pod has a definition before something needs it there; its id there.

        Raises `NotFound` if another is in its place, `PodUnavailable`.
        """
        problem, id = await self.bring(key, pod)
        if problem:
            raise NotFound(f"{words(self.kind).capitalize()} {key} could not be found.")
        return id

    async def bring(self, key: str, pod: Pod) -> tuple[str, str]:
        """As `carry`: the problem, if the pod cannot have it, and the id there."""
        definition = await self.known(key)
        if definition is None or definition.deleted_at:
            return "", key  # the pod has its own words for that
        one = (await self.settled(key)).get(pod.pod_id)
        if one is None or not is_abreast(one, definition):
            with suppress(Refused):
                await self.settle(key, pod)
            one = (await self.settled(key)).get(pod.pod_id)
        return (one.problem, one.bottom_id or key) if one else ("it is not there", key)

    async def settle(self, key: str, pod: Pod) -> Outcome:
        """Make a pod have what should be. It may be run again at any time: each step finds what
        the last one left. Raises `Refused`, `Fault`."""
        async with self.turns.of((key, pod.pod_id)):
            definition = await self.known(key)
            if definition is None or definition.pending == pod.pod_id:
                return Outcome.NOTHING  # what is tried there is looked at first
            ours = (await self.settled(key)).get(pod.pod_id)
            id = ours.bottom_id if ours and ours.version != STRANGE else ""
            last = content(definition.document) if definition.document else {}
            found = await self.kind.look(pod, id, last)
            id, seen = found or ("", None)
            verdict = judge(self.kind, pod, definition, seen, ours, mend=self._mend)
            now = ours or Settled(self.kind.name, key, pod.pod_id, STRANGE)
            now = evolve(now, bottom_id=id, problem=verdict.problem)
            if verdict.problem or verdict.strange:
                if verdict.strange:
                    now = evolve(now, version=STRANGE)
                await self._put(now, ours)
                return Outcome.REPORTED if verdict.problem else Outcome.NOTHING
            if verdict.steps:
                try:
                    now = await self._take(pod, verdict, now, ours)
                except Refused as refused:
                    if refused.answer.status != 409 or definition.deleted_at:
                        raise
                    found = await self.kind.look(pod, "", last)  # it may be another worker's
                    if found is None or self.kind.plan(self.kind.in_pod(last, pod), found[1]):
                        raise
                    now = evolve(now, bottom_id=found[0])
            await self._put(evolve(now, version=definition.version), ours)
            return Outcome.DONE if verdict.steps else Outcome.NOTHING

    async def _take(
        self, pod: Pod, verdict: Verdict, now: Settled, ours: Settled | None
    ) -> Settled:
        """Take the steps, on record that what they leave is ours. Raises `Refused`, `Fault`."""
        first = now
        if now.version == STRANGE:
            now = evolve(now, version=ON_ITS_WAY)
            await self._put(now, ours)
        for step in verdict.steps:
            answer = await self._tell(pod, step, now.bottom_id)
            if answer is not None and answer.status in REFUSALS:
                # of what was refused at once, nothing is there
                told = first if step is verdict.steps[0] else now
                await self._put(evolve(told, problem=_said(answer)), None)
                raise Refused(pod, answer)
            if answer is not None and step.makes:
                now = evolve(now, bottom_id=_made(pod, answer, step.makes))
                await self._put(now, None)
        return now

    async def _tell(self, pod: Pod, step: Step, id: str) -> Answer | None:
        """The pod's answer; None if there was nothing to be told."""
        if step.version and not self._pods.speaks(pod, self.kind.service, step.version):
            return None
        path = step.path.replace("{id}", quote(id, safe=""))
        token = await (self._own_token(step.project) if step.project else self._own_token())
        answer = await self._calls.ask(
            pod, token, step.method, path, step.body, version=step.version, fine=REFUSALS
        )
        return None if answer.status == step.fine else answer

    async def _put(self, now: Settled, before: Settled | None) -> None:
        if now == before:
            return
        await self._store.write(lambda c: rows.put_settled(c, [now]))
        self.learn_id(now)
        if now.problem and (before is None or before.problem != now.problem):
            pod = self._pods.get(now.pod_id)
            log.warn(
                "pod {pod}: {kind} {key}: {why}",
                pod=pod.pod_name if pod else now.pod_id,
                kind=now.kind,
                key=now.key,
                why=now.problem,
            )

    async def attempt(self, key: str, pod: Pod) -> Outcome | Refused:
        """`settle`, where a refusal or a failure is no reason to stop."""
        try:
            return await self.settle(key, pod)
        except Refused as refused:
            return refused
        except Fault as fault:
            log.warn(
                "pod {pod}: {kind} {key}: {why}",
                pod=pod.pod_name,
                kind=self.kind.name,
                key=key,
                why=getattr(fault, "why", fault.message),
            )
            return Outcome.FAILED

    async def try_all(self, key: str, pods: Iterable[Pod]) -> dict[Pod, Outcome | Refused]:
        """Settle a definition in several pods at once."""
        where = list(pods)
        return dict(zip(where, await together(self.attempt(key, p) for p in where), strict=True))

    async def bury(self, key: str) -> None:
        """Forget a deleted definition that no pod has any more."""
        definition = await self.known(key)
        if definition is None or not definition.deleted_at or definition.pending:
            return
        told = await self.settled(key)
        pods = self._pods.serving(self.kind.service)
        if all((one := told.get(p.pod_id)) and is_abreast(one, definition) for p in pods):
            await self._store.write(lambda c: rows.forget_definition(c, definition))
            for id in [id for id, top in self.tops.items() if top == key]:
                del self.tops[id]
            for ids in self._ids.values():
                ids.pop(key, None)


def _made(pod: Pod, answer: Answer, key: str) -> str:
    """The id of what an answer says was made. Raises `PodUnavailable` if it says none."""
    try:
        return str(document(answer)[key]["id"])
    except (KeyError, TypeError):
        raise PodUnavailable(pod.pod_name, f"what it made is no {key}") from None


def _said(answer: Answer) -> str:
    """A pod's words of refusal."""
    try:
        told = next(iter(document(answer).values()))
        return f"the pod refuses it: {told['message']}"
    except (KeyError, TypeError, StopIteration):
        return f"the pod refuses it: status {answer.status}"
