"""What becomes of an attachment while passes look at its port."""

from __future__ import annotations

import pytest
from attrs import evolve

from trio2o.domain.values import BOOTED, BOUND, CLAIMED, LEASED, SUBPORT, Attachment
from trio2o.networks._stages import Verdict, judged

ONE = Attachment("port", "pod", "server", "claim", True, BOUND, 100.0)
USED, LEFT = {"device_id": "server"}, {"device_id": ""}
NAMED = USED | {"dns_name": "host"}


def test_a_port_whose_server_went_while_a_pass_ran_is_not_taken_back() -> None:
    """The pass has read that the server uses it; since then it was freed, or is another's."""
    booted = evolve(ONE, stage=BOOTED, server_id="")
    assert judged(booted, booted, USED, LEFT, 0.0) == Verdict(moved=ONE, tell=True)
    for now in (None, evolve(booted, server_id="next"), evolve(booted, pod_id="elsewhere")):
        assert judged(booted, now, USED, LEFT, 0.0) == Verdict()


def test_a_port_that_a_server_got_while_a_pass_ran_is_not_freed() -> None:
    claimed = evolve(ONE, stage=CLAIMED)
    assert judged(claimed, claimed, None, LEFT, 200.0) == Verdict(free=True)
    assert judged(claimed, evolve(claimed, stage=BOOTED), None, LEFT, 200.0) == Verdict()


@pytest.mark.parametrize(
    ("stage", "row", "old", "verdict"),
    [
        (BOUND, USED, 0.0, Verdict()),
        (BOUND, LEFT, 0.0, Verdict(free=True)),
        (BOUND, None, 0.0, Verdict(free=True)),
        (BOOTED, USED, 0.0, Verdict(moved=ONE)),
        (BOOTED, LEFT, 0.0, Verdict()),
        (BOOTED, LEFT, 200.0, Verdict(free=True, if_gone=True)),
        (BOOTED, None, 0.0, Verdict(free=True)),
        (CLAIMED, LEFT, 0.0, Verdict()),
        (CLAIMED, LEFT, 200.0, Verdict(free=True)),
        (LEASED, LEFT, 200.0, Verdict()),
        (SUBPORT, LEFT, 200.0, Verdict()),
    ],
)
def test_a_port_is_kept_while_a_server_may_come_and_freed_when_none_will(
    stage: str, row: dict[str, str] | None, old: float, verdict: Verdict
) -> None:
    one = evolve(ONE, stage=stage)
    assert judged(one, one, row, USED, old) == verdict


def test_a_port_that_another_server_has_is_that_ones() -> None:
    moved = evolve(ONE, server_id="next")
    assert judged(ONE, ONE, {"device_id": "next"}, USED, 0.0) == Verdict(moved, tell=True)


def test_the_top_is_told_what_a_host_is_called_unless_it_has_no_dns_or_knows_a_name() -> None:
    for twin, tell in (
        (USED | {"dns_name": ""}, True),
        (USED, False),
        (NAMED, False),
        (None, False),
    ):
        assert judged(ONE, ONE, NAMED, twin, 0.0) == Verdict(tell=tell)
        assert judged(ONE, ONE, USED, twin, 0.0) == Verdict()
