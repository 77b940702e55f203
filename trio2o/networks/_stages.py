"""What becomes of an attachment, by what the pod shows of its port. Pure."""

from __future__ import annotations

from attrs import evolve, frozen

from trio2o.domain.values import BOUND, CLAIMED, LEASED, SUBPORT, Attachment
from trio2o.networks._things import Row


@frozen
class Verdict:
    """`moved` is the attachment from now on, `tell`: the top does not know the server yet;
    `free`: the port is to leave the pod, with `if_gone` only if the pod has no such server."""

    moved: Attachment | None = None
    tell: bool = False
    free: bool = False
    if_gone: bool = False


def judged(
    one: Attachment, now: Attachment | None, row: Row | None, told: str | None, old: float
) -> Verdict:
    """Judge an attachment, as it was when the pass began, by its port in the pod.

    `now` is what it is by now: if its server came or went meanwhile, what the pass has read is not
    true any more, and nothing is done. `told` is the server's id at the top; an attachment from
    before `old` (seconds since 1970) had its time to come to something.
    """
    device = row["device_id"] if row else ""
    if now != one or one.stage in (LEASED, SUBPORT):
        return Verdict()
    if device:
        known = one.stage == BOUND and one.server_id == device
        moved = None if known else evolve(one, server_id=device, stage=BOUND)
        return Verdict(moved, tell=told not in (None, device))
    if one.stage != BOUND and one.since >= old:
        return Verdict()
    # a port that is not there any more was taken from its server
    lost = one.stage in (BOUND, CLAIMED) or row is None
    return Verdict(free=True, if_gone=not lost)
