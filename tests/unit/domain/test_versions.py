"""Microversions as Nova and Cinder read them from headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio2o.domain.errors import BadRequest, NotAcceptable
from trio2o.domain.versions import Microversions, Range, Version

NUMBERS = st.builds(Version, st.integers(1, 5), st.integers(0, 200))
RANGES = st.tuples(NUMBERS, NUMBERS).map(lambda ends: Range(min(ends), max(ends)))

NOVA = Microversions(
    "compute", Range(Version(2, 1), Version(2, 104)), "X-OpenStack-Nova-API-Version", lenient=True
)
CINDER = Microversions("volume", Range(Version(3, 0), Version(3, 71)))
OFFERED = Range(Version(2, 1), Version(2, 90))


def asked(*values: str, of: Microversions = NOVA, name: str = "OpenStack-API-Version") -> str:
    offered = OFFERED if of is NOVA else Range(Version(3, 0), Version(3, 70))
    said = {name.lower().encode(): ", ".join(values).encode()} if values else {}
    return str(of.asked(said, offered))


@given(NUMBERS, NUMBERS)
def test_versions_are_ordered_as_numbers(one: Version, other: Version) -> None:
    assert Version.parse(str(one)) == one
    assert (one < other) == ((one.major, one.minor) < (other.major, other.minor))


@pytest.mark.parametrize(
    "text", ["", "2", "2.", ".1", "02.1", "2.01", "2.1.1", "a.b", "2.-1", "٢.1", "2.1 "]
)
def test_a_text_that_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Version.parse(text)


@given(RANGES, RANGES, NUMBERS)
def test_what_two_share_lies_in_both(one: Range, other: Range, version: Version) -> None:
    shared = one.shared(other)
    assert (version in one and version in other) == (shared is not None and version in shared)


def test_none_asked_is_the_oldest() -> None:
    assert asked() == "2.1"
    assert asked(of=CINDER) == "3.0"


def test_latest_is_the_newest_that_all_pods_share() -> None:
    assert asked("compute latest") == "2.90"


@pytest.mark.parametrize(
    ("values", "version"),
    [
        (("compute 2.53",), "2.53"),
        (("COMPUTE 2.53",), "2.53"),
        (("volume 3.1, compute 2.53",), "2.53"),
        (("compute 2.10, compute 2.53",), "2.53"),
        (("volume 3.1",), "2.1"),
        (("compute",), "2.1"),
    ],
)
def test_nova_finds_its_part(values: tuple[str, ...], version: str) -> None:
    assert asked(*values) == version


def test_novas_older_header_counts_where_the_newer_is_absent() -> None:
    assert asked("2.7", name="x-openstack-nova-api-version") == "2.7"
    both = {b"x-openstack-nova-api-version": b"2.7", b"openstack-api-version": b"compute 2.9"}
    assert str(NOVA.asked(both, OFFERED)) == "2.9"


def test_cinder_refuses_a_header_without_its_part() -> None:
    assert asked("volume 3.50", of=CINDER) == "3.50"
    with pytest.raises(BadRequest):
        asked("compute 2.1", of=CINDER)


@pytest.mark.parametrize("value", ["compute 2", "compute 2.x", "compute two", "compute 2.01"])
def test_a_malformed_version_is_400(value: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        asked(value)
    assert value.split()[1] in refusal.value.message


@pytest.mark.parametrize("value", ["compute 2.91", "compute 2.0", "compute 3.1", "compute 1.1"])
def test_a_version_out_of_the_range_is_406_that_names_it(value: str) -> None:
    with pytest.raises(NotAcceptable) as refusal:
        asked(value)
    assert "Minimum is 2.1 and maximum is 2.90." in refusal.value.message


def test_an_answer_tells_its_version_in_both_headers() -> None:
    assert NOVA.headers(Version(2, 53)) == (
        (b"OpenStack-API-Version", b"compute 2.53"),
        (b"X-OpenStack-Nova-API-Version", b"2.53"),
    )
    assert [name for name, _ in NOVA.vary()] == [b"Vary", b"Vary"]
