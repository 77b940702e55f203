"""Choosing a pod, purely: pins and filters say which may take it, weighers which goes first."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from attrs import frozen

from trio2o.domain.values import ACTIVE, MAINTENANCE, Pod


class Refusal(Exception):
    """There is no pod for the wish."""


class NoSuchZone(Refusal):
    """No pod has the AZ that was asked for."""

    def __init__(self, zone: str) -> None:
        super().__init__(f"no pod has availability zone {zone}")
        self.zone = zone


class Conflicting(Refusal):
    """What was asked for cannot be in one pod; the text names both."""


class NoPod(Refusal):
    """Pods that would do are down or closed to new things."""


@frozen
class Candidate:
    """A pod as it stands now. `bound` is when the project was bound to it ('' = it is not),
    `free` which part of it is free, from 0 to 1 (None = not known)."""

    pod: Pod
    up: bool
    bound: str = ""
    free: float | None = None


@frozen
class Pin:
    """Something named in the request that lives in one pod. `what` is for the tenant."""

    what: str
    pod: Pod


@frozen
class Wish:
    """What is asked for. An empty zone is any; `az1.Pod2` is one pod of an AZ. `tags` are those
    that the pod must have, `by` what asks for them."""

    zone: str = ""
    pins: tuple[Pin, ...] = ()
    tags: frozenset[str] = frozenset()
    by: str = ""


@frozen
class Rules:
    """Which filters run, and how much each weigher counts (0: not at all). An AZ or a pin that is
    asked for always holds."""

    filters: frozenset[str] = frozenset(("state", "health", "tags", "room"))
    binding: float = 1000.0
    free: float = 1.0
    weight: float = 1.0


FILTERS: Mapping[str, Callable[[Candidate], bool]] = {
    "state": lambda candidate: candidate.pod.state == ACTIVE,
    "health": lambda candidate: candidate.up,
}
"""What is said of a pod by itself. Tags depend on the wish; room is asked of what is left."""


def fitting(candidates: Sequence[Candidate], wish: Wish, rules: Rules) -> list[Candidate]:
    """The pods that may take it. Raises `NoSuchZone`, `Conflicting` or `NoPod`.

    A pinned pod takes what belongs to it unless it is in maintenance.
    """
    tags = wish.tags if "tags" in rules.filters else frozenset()
    if wish.zone and not any(candidate.pod.is_in(wish.zone) for candidate in candidates):
        raise NoSuchZone(wish.zone)
    if wish.pins:
        return [_pinned(candidates, wish, tags)]
    there = [one for one in candidates if not wish.zone or one.pod.is_in(wish.zone)]
    tagged = [one for one in there if tags <= set(one.pod.tags)]
    if there and not tagged:
        where = f" of availability zone {wish.zone}" if wish.zone else ""
        raise Conflicting(f"{_capital(wish.by)} asks for {_words(tags)}: no pod{where} is so.")
    filters = [FILTERS[name] for name in FILTERS if name in rules.filters]
    left = [one for one in tagged if all(keeps(one) for keeps in filters)]
    if not left:
        raise NoPod("No pod can take it at the moment.")
    return left


def _pinned(candidates: Sequence[Candidate], wish: Wish, tags: frozenset[str]) -> Candidate:
    first, *others = wish.pins
    pod = first.pod
    for other in others:
        if other.pod.pod_id != pod.pod_id:
            raise Conflicting(
                f"{_capital(first.what)} is in availability zone {pod.az_name} "
                f"({pod.pod_name}), {other.what} in {other.pod.az_name} "
                f"({other.pod.pod_name})."
            )
    if wish.zone and not pod.is_in(wish.zone):
        raise Conflicting(
            f"{_capital(first.what)} is in availability zone {pod.az_name}, "
            f"not in the requested availability zone {wish.zone}."
        )
    if not tags <= set(pod.tags):
        raise Conflicting(
            f"{_capital(first.what)} is in availability zone {pod.az_name} ({pod.pod_name}), "
            f"which is not {_words(tags)} as {wish.by} asks for."
        )
    for candidate in candidates:
        if candidate.pod.pod_id == pod.pod_id and candidate.up and pod.state != MAINTENANCE:
            return candidate
    raise NoPod(f"Pod {pod.pod_name}, which has {first.what}, is not available.")


def groups(candidates: Sequence[Candidate], rules: Rules) -> list[list[Candidate]]:
    """The candidates in groups of which each goes before the next, whatever is free in them.

    So the pods that a project does not use need not be asked while one that it uses has room.
    """
    bound = [one for one in candidates if one.bound]
    others = [one for one in candidates if not one.bound]
    if bound and others and rules.binding / (len(bound) + 1) > rules.free + rules.weight:
        return [bound, others]
    return [list(candidates)]


def ranked(candidates: Sequence[Candidate], rules: Rules) -> list[Candidate]:
    """The best first. What each weigher says is brought between 0 and 1 and multiplied; between
    equals the pod that was added first goes first."""
    scores = [0.0] * len(candidates)
    for multiplier, figures in (
        (rules.binding, _bound_longest(candidates)),
        (rules.free, _between(one.free or 0.0 for one in candidates)),
        (rules.weight, _between(one.pod.weight for one in candidates)),
    ):
        scores = [score + multiplier * x for score, x in zip(scores, figures, strict=True)]
    order = sorted(range(len(candidates)), key=lambda i: (-scores[i], candidates[i].pod.number))
    return [candidates[i] for i in order]


def _bound_longest(candidates: Sequence[Candidate]) -> list[float]:
    """1 for the one that was bound first, less for each later one, 0 for those that are not."""
    times = sorted({one.bound for one in candidates if one.bound}, reverse=True)
    return [(times.index(c.bound) + 1) / len(times) if c.bound else 0.0 for c in candidates]


def _between(figures: Iterable[float]) -> list[float]:
    """From 0 for the least to 1 for the most; all 0 where they are equal."""
    told = list(figures)
    least, most = min(told, default=0.0), max(told, default=0.0)
    return [(x - least) / (most - least) if most > least else 0.0 for x in told]


def _words(tags: Iterable[str]) -> str:
    return "tagged " + ", ".join(sorted(tags))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
