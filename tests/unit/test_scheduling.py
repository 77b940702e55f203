"""Pins and filters say which pods may take something new, weighers which goes first."""

import itertools

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio2o.domain.values import ACTIVE, DRAINING, MAINTENANCE, STATES, Pod, Zone
from trio2o.scheduling import (
    Candidate,
    Conflicting,
    NoPod,
    NoSuchZone,
    Pin,
    Refusal,
    Rules,
    Wish,
    fitting,
    groups,
    ranked,
)

RULES = Rules()
TAGS = ("gpu", "ssd")
ZONES = ("az1", "az2", "az3")


def pod(number: int, zone: str = "az1", state: str = ACTIVE, **fields: object) -> Pod:
    made = Pod(f"id-{number}", number, f"Pod{number}", zone, "", "", state, "2026")
    return evolve(made, **fields)  # type: ignore[arg-type]


def placed(number: int, drawn: tuple[object, ...]) -> Candidate:
    names, state, up, bound, tags, free, weight = drawn
    zones = tuple(Zone(name, name) for name in sorted(names))  # type: ignore[call-overload]
    fields = {"tags": tuple(sorted(tags)), "weight": weight, "zones": zones}  # type: ignore[call-overload]
    return Candidate(pod(number, zones[0].name, str(state), **fields), up, bound, free)  # type: ignore[arg-type]


CANDIDATES = st.lists(
    st.tuples(
        st.sets(st.sampled_from(ZONES), min_size=1),
        st.sampled_from(STATES),
        st.booleans(),
        st.sampled_from(["", "2025", "2026"]),
        st.sets(st.sampled_from(TAGS)),
        st.none() | st.floats(0, 1, allow_subnormal=False),
        st.sampled_from([0.0, 1.0, 7.5]),
    ),
    min_size=1,
    max_size=6,
).map(lambda drawn: [placed(number, one) for number, one in enumerate(drawn, 1)])

FILTERS = st.sets(st.sampled_from(["state", "health", "tags", "room"])).map(frozenset)
MULTIPLIER = st.sampled_from([0.0, 0.5, 1.0, 1000.0])
RULE = st.builds(Rules, FILTERS, MULTIPLIER, MULTIPLIER, MULTIPLIER)


@given(
    CANDIDATES,
    st.sampled_from(["", *ZONES, "az1.Pod1", "az2.Pod2"]),
    st.sets(st.sampled_from(TAGS)),
    RULE,
)
def test_what_fits_passes_every_filter_that_runs_and_nothing_else_is_left_out(
    all: list[Candidate], zone: str, tags: set[str], rules: Rules
) -> None:
    def passes(one: Candidate) -> bool:
        names = {name for z in one.pod.azs for name in (z.name, f"{z.name}.{one.pod.pod_name}")}
        return (
            (not zone or zone in names)
            and ("state" not in rules.filters or one.pod.state == ACTIVE)
            and ("health" not in rules.filters or one.up)
            and ("tags" not in rules.filters or tags <= set(one.pod.tags))
        )

    expected = [one for one in all if passes(one)]
    try:
        found = fitting(all, Wish(zone, (), frozenset(tags), "flavor f"), rules)
    except Refusal as refusal:
        assert expected == []
        assert isinstance(refusal, NoSuchZone) == (
            bool(zone) and not any(one.pod.is_in(zone) for one in all)
        )
    else:
        assert found == expected != []


@given(CANDIDATES, st.data())
def test_a_pin_is_followed_or_refused_and_never_left(
    all: list[Candidate], data: st.DataObject
) -> None:
    pinned = data.draw(st.sampled_from(all))
    tags = data.draw(st.sets(st.sampled_from(TAGS)).map(frozenset))
    wish = Wish("", (Pin("volume v", pinned.pod),), tags, "flavor f")
    if not tags <= set(pinned.pod.tags):
        with pytest.raises(Conflicting, match=r"olume v.*tagged.*flavor f"):
            fitting(all, wish, RULES)
    elif pinned.up and pinned.pod.state != MAINTENANCE:
        assert fitting(all, wish, RULES) == [pinned]
    else:
        with pytest.raises(NoPod, match="volume v"):
            fitting(all, wish, RULES)


@given(CANDIDATES, RULE)
def test_an_order_has_all_of_them_and_does_not_depend_on_how_they_came(
    all: list[Candidate], rules: Rules
) -> None:
    order = ranked(all, rules)
    assert sorted(one.pod.number for one in order) == sorted(one.pod.number for one in all)
    assert ranked(all[::-1], rules) == order


@given(CANDIDATES, RULE)
def test_groups_say_of_the_order_what_holds_whatever_is_free(
    all: list[Candidate], rules: Rules
) -> None:
    order = ranked(all, rules)
    parted = list(itertools.chain(*(ranked(group, rules) for group in groups(all, rules))))
    assert {one.pod for one in parted} == {one.pod for one in order}
    first = groups(all, rules)[0]
    if len(groups(all, rules)) > 1:
        assert {one.pod for one in order[: len(first)]} == {one.pod for one in first}


@given(CANDIDATES)
def test_the_one_that_was_bound_first_goes_first(all: list[Candidate]) -> None:
    best = ranked(all, RULES)[0]
    times = [one.bound for one in all if one.bound]
    assert best.bound == (min(times) if times else "")


@given(CANDIDATES)
def test_a_weigher_alone_orders_by_what_it_weighs(all: list[Candidate]) -> None:
    off = Rules(binding=0.0, free=0.0, weight=0.0)
    weights = [one.pod.weight for one in ranked(all, evolve(off, weight=2.0))]
    assert weights == sorted(weights, reverse=True)
    free = [one.free or 0.0 for one in ranked(all, evolve(off, free=0.1))]
    assert free == sorted(free, reverse=True)
    numbers = [one.pod.number for one in ranked(all, off)]
    assert numbers == sorted(numbers)


def test_an_az_without_a_pod_of_the_tags_is_refused_by_name() -> None:
    tagged = pod(2, "az2", tags=("gpu",))
    all = [Candidate(pod(1), True), Candidate(tagged, True)]
    wish = Wish("", (), frozenset(("gpu",)), "flavor big")
    assert [one.pod for one in fitting(all, wish, RULES)] == [tagged]
    with pytest.raises(Conflicting) as refusal:
        fitting(all, evolve(wish, zone="az1"), RULES)
    for word in ("Flavor big", "tagged gpu", "az1"):
        assert word in str(refusal.value)


def test_two_pins_in_two_pods_name_both() -> None:
    one, two = pod(1), pod(2, "az2")
    with pytest.raises(Conflicting) as refusal:
        fitting(
            [Candidate(one, True), Candidate(two, True)],
            Wish("", (Pin("volume v", one), Pin("network n", two))),
            RULES,
        )
    for word in ("olume v", "az1", "Pod1", "network n", "az2", "Pod2"):
        assert word in str(refusal.value)


def test_a_pin_outside_the_zone_names_both() -> None:
    one, two = pod(1), pod(2, "az2", DRAINING)
    candidates = [Candidate(one, True), Candidate(two, True)]
    with pytest.raises(Conflicting) as refusal:
        fitting(candidates, Wish("az1", (Pin("port p", two),)), RULES)
    for word in ("ort p", "az1", "az2"):
        assert word in str(refusal.value)
    wide = evolve(two, zones=(Zone("az2", "a"), Zone("az1", "b")))
    both = [Candidate(one, True), Candidate(wide, True)]
    assert fitting(both, Wish("az1", (Pin("port p", wide),)), RULES) == [both[1]]
