"""What becomes of an attachment, by what the pod shows of its port. Pure."""

from __future__ import annotations

from attrs import evolve, frozen

from trio2o.domain.values import BOOTED, BOUND, LEASED, SUBPORT, Attachment
from trio2o.networks._things import Row


@frozen
class Verdict:
    """`moved` is the attachment from now on, `tell`: the top does not know the server yet, or what
    its host is called; `free`: the port is to leave the pod, with `if_gone` only if its server does
    not come to use it."""

    moved: Attachment | None = None
    tell: bool = False
    free: bool = False
    if_gone: bool = False


def judged(
    one: Attachment, now: Attachment | None, row: Row | None, twin: Row | None, old: float
) -> Verdict:
    """Judge an attachment, as it was when the pass began, by its port in the pod.

    `now` is what it is by now: if its server came or went meanwhile, what the pass has read is not
    true any more, and nothing is done. `twin` is the port at the top; an attachment from
    before `old` (seconds since 1970) had its time to come to something.
    """
    device = row["device_id"] if row else ""
    if now != one or one.stage in (LEASED, SUBPORT):
        return Verdict()
    if device:
        known = one.stage == BOUND and one.server_id == device
        moved = None if known else evolve(one, server_id=device, stage=BOUND)
        tell = twin is not None and (twin["device_id"] != device or bool(new_name(row, twin)))
        return Verdict(moved, tell=tell)
    # a port that is not there any more was taken from its server
    if one.stage == BOUND or (one.stage == BOOTED and row is None):
        return Verdict(free=True)
    return Verdict(free=one.since < old, if_gone=one.since < old and one.stage == BOOTED)


def new_name(row: Row | None, twin: Row) -> str:
    """What a pod's Nova called the host of a port, if the top has DNS and does not know it."""
    return (row or {}).get("dns_name") or "" if twin.get("dns_name") == "" else ""
