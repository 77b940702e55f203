"""A pod's AZs: the tenants' names of them, and the pod's own, there and back."""

from hypothesis import given
from hypothesis import strategies as st

from trio2o.domain.values import ACTIVE, Pod, Zone

NAMES = st.text(st.characters(exclude_characters=".:"), min_size=1, max_size=4)


def pod(*zones: Zone, az_name: str = "", pod_az_name: str = "") -> Pod:
    first = zones[0] if zones else Zone(az_name, pod_az_name, pod_az_name)
    return Pod("id", 1, "Pod1", first.name, first.compute, "", ACTIVE, "2026", zones=zones)


ZONES = st.lists(
    st.builds(Zone, NAMES, NAMES, NAMES),
    min_size=1,
    max_size=4,
    unique_by=(lambda z: z.name, lambda z: z.compute, lambda z: z.volume),
)


@given(ZONES)
def test_each_az_is_told_to_the_pod_and_shown_to_the_tenant_by_its_own_name(
    zones: list[Zone],
) -> None:
    one = pod(*zones)
    for zone in zones:
        for asked in (zone.name, f"{zone.name}.Pod1"):
            assert one.zone(asked) == zone
        assert not one.is_in(f"{zone.name}.Pod2")
        assert one.is_named(f"{zone.name}.Pod1") and not one.is_named(zone.name)
        for service in ("compute", "volume"):
            assert one.shown_zone(zone.own(service), service) == zone.name


@given(ZONES, NAMES)
def test_an_az_of_the_pod_that_has_no_name_is_the_first(zones: list[Zone], own: str) -> None:
    shown = pod(*zones).shown_zone(own, "compute")
    known = {zone.compute: zone.name for zone in zones}
    assert shown == known.get(own, zones[0].name)


def test_the_pair_is_a_map_of_one() -> None:
    one = pod(az_name="az1", pod_az_name="nova")
    assert one.azs == (Zone("az1", "nova", "nova"),)
    assert one.shown_zone("nova", "volume") == one.shown_zone("else", "compute") == "az1"
    assert one.zone("az2") is None
