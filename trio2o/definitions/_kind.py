"""What a kind of definition tells of itself, so that all kinds are kept in one way; and what is to
be done about one in a pod: a pure decision."""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec
from attrs import frozen

from trio2o.domain.values import STRANGE, Definition, Pod, Settled
from trio2o.domain.versions import Version

Document = dict[str, Any]
"""A definition in canonical form: two that mean the same are equal."""


@frozen
class Step:
    """One call to a pod, which may be made again.

    `{id}` in the path stands for the definition's id there. `makes` is the key under which the
    answer tells the id of what was made. A pod that does not speak `version` is not told. `fine`:
    the status of a pod where it is done already (404: what is to go is not there). `project`: the
    one whose token it takes ('' = our own).
    """

    method: str
    path: str
    body: Any = None
    version: Version | None = None
    makes: str = ""
    fine: int = 0
    project: str = ""


class Placed(Protocol):
    """A kind of which each pod can be told. Calls to pods raise `Fault`."""

    @property
    def name(self) -> str:
        """One of them, as the store and the admin API call it: `flavor`."""
        ...

    @property
    def service(self) -> str: ...

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        """One of them with its id there. Without an id: what stands where `wanted` would."""
        ...

    def in_pod(self, wanted: Document, pod: Pod) -> Document | None:
        """What a pod has to have of it; None for nothing."""
        ...

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        """What makes a pod have `wanted` (None: have it no more) where it has `seen`. Pure.

        Only the members of `seen` are compared: an old pod does not know them all.
        """
        ...


class Kind(Placed, Protocol):
    """Flavors, say: of which a pod tells all that it has."""

    @property
    def adopts(self) -> bool:
        """Whether what a pod has by itself becomes a definition."""
        ...

    @property
    def taken(self) -> str:
        """What is said where another stands in the place of a new one: of `{key}` and `{name}`."""
        ...

    async def observe(self, pod: Pod) -> Mapping[str, Document]:
        """All that a pod has, by the ids there."""
        ...


def canonical(document: Document) -> str:
    """The same text for the same content."""
    return msgspec.json.encode(document, order="sorted").decode()


def content(text: str) -> Document:
    return msgspec.json.decode(text, type=Document)


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
