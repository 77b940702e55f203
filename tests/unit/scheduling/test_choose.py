"""Pins first, then what may take something new, then the project's binding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio2o.domain.values import ACTIVE, DRAINING, MAINTENANCE, STATES, Pod
from trio2o.scheduling import Candidate, Conflicting, NoPod, NoSuchZone, Pin, Wish, choose


def pod(number: int, zone: str = "az1", state: str = ACTIVE) -> Pod:
    return Pod(f"id-{number}", number, f"Pod{number}", zone, "", "", state, "2026")


CANDIDATES = st.lists(
    st.tuples(
        st.sampled_from(["az1", "az2", "az3"]),
        st.sampled_from(STATES),
        st.booleans(),
        st.sampled_from(["", "2025", "2026"]),
    ),
    min_size=1,
    max_size=6,
).map(lambda all: [Candidate(pod(n, az, s), up, b) for n, (az, s, up, b) in enumerate(all)])


@given(CANDIDATES, st.sampled_from(["", "az1", "az2", "az3"]))
def test_what_is_chosen_is_open_up_and_in_the_zone(all: list[Candidate], zone: str) -> None:
    fitting = [
        c for c in all if c.up and c.pod.state == ACTIVE and (not zone or c.pod.az_name == zone)
    ]
    if zone and all and zone not in {c.pod.az_name for c in all}:
        with pytest.raises(NoSuchZone):
            choose(all, Wish(zone))
    elif not fitting:
        with pytest.raises(NoPod):
            choose(all, Wish(zone))
    else:
        chosen = choose(all, Wish(zone))
        found = next(c for c in fitting if c.pod == chosen)
        bound = [c for c in fitting if c.bound]
        assert not bound or found in bound
        assert choose(list(reversed(all)), Wish(zone)) == chosen


@given(CANDIDATES, st.data())
def test_a_pin_is_followed_or_refused_and_never_left(
    all: list[Candidate], data: st.DataObject
) -> None:
    pinned = data.draw(st.sampled_from(all))
    wish = Wish("", (Pin("volume v", pinned.pod),))
    if pinned.up and pinned.pod.state != MAINTENANCE:
        assert choose(all, wish) == pinned.pod
    else:
        with pytest.raises(NoPod):
            choose(all, wish)


def test_the_one_bound_longest_goes_first_and_the_oldest_pod_before_others() -> None:
    one, two, three = (pod(n) for n in (1, 2, 3))
    assert choose([Candidate(two, True), Candidate(one, True)], Wish()) == one
    bound = [Candidate(one, True), Candidate(two, True, "2026"), Candidate(three, True, "2025")]
    assert choose(bound, Wish()) == three


def test_two_pins_in_two_pods_name_both() -> None:
    one, two = pod(1), pod(2, "az2")
    with pytest.raises(Conflicting) as refusal:
        choose(
            [Candidate(one, True), Candidate(two, True)],
            Wish("", (Pin("volume v", one), Pin("network n", two))),
        )
    for word in ("olume v", "az1", "Pod1", "network n", "az2", "Pod2"):
        assert word in str(refusal.value)


def test_a_pin_outside_the_zone_names_both() -> None:
    one, two = pod(1), pod(2, "az2", DRAINING)
    with pytest.raises(Conflicting) as refusal:
        choose([Candidate(one, True), Candidate(two, True)], Wish("az1", (Pin("port p", two),)))
    for word in ("ort p", "az1", "az2"):
        assert word in str(refusal.value)
