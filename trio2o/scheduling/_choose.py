"""Pins first, then what may take something new, then the project's binding."""

from __future__ import annotations

from collections.abc import Sequence

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
    """What was named lies in different pods; the text names both."""


class NoPod(Refusal):
    """Pods that would do are down or closed to new things."""


@frozen
class Candidate:
    """A pod as it stands now. `bound` is when the project was bound to it ('' = it is not)."""

    pod: Pod
    up: bool
    bound: str = ""


@frozen
class Pin:
    """Something named in the request that lives in one pod. `what` is for the tenant."""

    what: str
    pod: Pod


@frozen
class Wish:
    """What is asked for. An empty zone is any; `az1.Pod2` is one pod of an AZ."""

    zone: str = ""
    pins: tuple[Pin, ...] = ()


def choose(candidates: Sequence[Candidate], wish: Wish) -> Pod:
    """The pod for the wish. Raises `NoSuchZone`, `Conflicting` or `NoPod`.

    A pinned pod takes what belongs to it unless it is in maintenance. Else active pods that
    answer are preferred in this order: bound (longest first), then the one added first.
    """
    if wish.zone and not any(candidate.pod.is_in(wish.zone) for candidate in candidates):
        raise NoSuchZone(wish.zone)
    if wish.pins:
        return _pinned(candidates, wish)
    fitting = [
        candidate
        for candidate in candidates
        if candidate.pod.state == ACTIVE
        and candidate.up
        and (not wish.zone or candidate.pod.is_in(wish.zone))
    ]
    if not fitting:
        raise NoPod("No pod can take it at the moment.")
    best = min(fitting, key=lambda c: (not c.bound, c.bound, c.pod.number))
    return best.pod


def _pinned(candidates: Sequence[Candidate], wish: Wish) -> Pod:
    first, *others = wish.pins
    for other in others:
        if other.pod.pod_id != first.pod.pod_id:
            raise Conflicting(
                f"{_capital(first.what)} is in availability zone {first.pod.az_name} "
                f"({first.pod.pod_name}), {other.what} in {other.pod.az_name} "
                f"({other.pod.pod_name})."
            )
    if wish.zone and not first.pod.is_in(wish.zone):
        raise Conflicting(
            f"{_capital(first.what)} is in availability zone {first.pod.az_name}, "
            f"not in the requested availability zone {wish.zone}."
        )
    up = any(c.up for c in candidates if c.pod.pod_id == first.pod.pod_id)
    if first.pod.state == MAINTENANCE or not up:
        raise NoPod(f"Pod {first.pod.pod_name}, which has {first.what}, is not available.")
    return first.pod


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
