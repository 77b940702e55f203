"""What is to be done about a definition in a pod: a pure decision."""

from __future__ import annotations

from attrs import frozen

from trio2o.definitions._kind import Document, Placed, Step, content
from trio2o.domain.values import STRANGE, Definition, Pod, Settled


@frozen
class Verdict:
    """What is to be done in a pod: `steps`, or nothing but to report a `problem`.

    `strange`: what is there is somebody's, and is left alone.
    """

    steps: tuple[Step, ...] = ()
    problem: str = ""
    strange: bool = False


def judge(
    kind: Placed,
    pod: Pod,
    definition: Definition,
    seen: Document | None,
    ours: Settled | None,
    *,
    mend: bool,
) -> Verdict:
    """From what should be, what the pod has (`seen`) and what we settled there before.

    What we neither brought there nor found to be the same is somebody's: it is reported and left
    alone. What changed behind our back is put right, or without `mend` only reported.
    """
    last = kind.in_pod(content(definition.document), pod) if definition.document else None
    wanted = None if definition.deleted_at else last
    steps = kind.plan(wanted, seen)
    if not steps:
        return Verdict()
    if seen is not None and (ours is None or ours.version == STRANGE):
        if wanted is not None:
            return Verdict(problem=another(kind), strange=True)
        # the very same is what was deleted; another is new, and taken up once this is forgotten
        same = definition.deleted_at and last is not None and not kind.plan(last, seen)
        return Verdict(steps) if same else Verdict(strange=True)
    if not mend and ours is not None and ours.version == definition.version:
        return Verdict(problem="it is gone from the pod" if seen is None else "it was changed")
    return Verdict(steps)


def is_abreast(one: Settled, definition: Definition) -> bool:
    """Whether a pod has a definition as it is now, or nothing of what it should not have."""
    # somebody's that is no problem stands where nothing of ours should be
    return not one.problem and one.version in (definition.version, STRANGE)


def another(kind: Placed) -> str:
    """The problem where somebody's is in the place of ours."""
    return f"the pod has another {words(kind)} in its place"


def words(kind: Placed) -> str:
    return kind.name.replace("_", " ")
