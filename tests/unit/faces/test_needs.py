"""What a new server asks of a pod, from its flavor, its image and its disks."""

import json
from typing import Any

import pytest
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from world import Pods, context, pod

from trio2o.domain.values import Zone
from trio2o.faces.compute._needs import placement_query, server_needs
from trio2o.verbs import Needs

FLAVOR = {"name": "f", "vcpus": 2, "ram": 512, "disk": 10, "swap": ""}
IMAGE = {"id": "i"}
PLAIN = ("required", "!COMPUTE_STATUS_DISABLED")


def query(
    specs: dict[str, str] | None = None,
    image: dict[str, str] | None = None,
    in_volume: bool = False,
    **flavor: Any,
) -> list[tuple[str, str]]:
    made = FLAVOR | flavor | {"extra_specs": specs or {}}
    return placement_query(made, image or IMAGE, in_volume=in_volume)


def test_a_flavor_asks_for_its_processors_memory_and_disks() -> None:
    assert query() == [("resources", "DISK_GB:10,MEMORY_MB:512,VCPU:2"), PLAIN]
    more = query(**{"swap": 1025, "OS-FLV-EXT-DATA:ephemeral": 5})
    assert more[0] == ("resources", "DISK_GB:17,MEMORY_MB:512,VCPU:2")


def test_a_root_disk_in_a_volume_takes_no_room_here() -> None:
    assert query(in_volume=True)[0] == ("resources", "MEMORY_MB:512,VCPU:2")


def test_extra_specs_override_and_add_resources() -> None:
    specs = {"resources:VCPU": "0", "resources:CUSTOM_GPU": "1", "resources:MEMORY_MB": "9"}
    assert query(specs)[0] == ("resources", "CUSTOM_GPU:1,DISK_GB:10,MEMORY_MB:9")


def test_traits_of_flavor_and_image_are_required_or_forbidden() -> None:
    specs = {"trait:HW_CPU_X86_AVX2": "required", "trait:CUSTOM_SLOW": "forbidden", "trait:X": "?"}
    image = {"trait:CUSTOM_LICENSED": "required"}
    wanted = "!COMPUTE_STATUS_DISABLED,!CUSTOM_SLOW,CUSTOM_LICENSED,HW_CPU_X86_AVX2"
    assert query(specs, image)[1] == ("required", wanted)


def test_dedicated_processors_are_others_than_shared_ones() -> None:
    for asked in (
        query({"hw:cpu_policy": "dedicated"}),
        query(image={"hw_cpu_policy": "dedicated"}),
    ):
        assert asked[0] == ("resources", "DISK_GB:10,MEMORY_MB:512,PCPU:2")


def test_groups_are_asked_for_as_groups() -> None:
    specs = {"resources1:VGPU": "1", "trait1:CUSTOM_A": "required", "resources_NET1:BW": "5"}
    found = dict(query(specs))
    assert found["resources1"] == "VGPU:1" and found["required1"] == "CUSTOM_A"
    assert found["resources_NET1"] == "BW:5"
    assert found["group_policy"] == "none"
    assert dict(query(specs | {"group_policy": "isolate"}))["group_policy"] == "isolate"
    assert "group_policy" not in dict(query({"resources1:VGPU": "1"}))


NAMES = st.sampled_from(["vcpus", "ram", "disk", "swap", "OS-FLV-EXT-DATA:ephemeral"])
SPECS = st.sampled_from(["resources:A", "resources1:B", "trait:C", "trait1:D", "hw:cpu_policy"])


@given(
    st.dictionaries(SPECS | st.text(), st.text() | st.sampled_from(["1", "required"])),
    st.dictionaries(NAMES, st.none() | st.integers() | st.text()),
    st.booleans(),
)
def test_whatever_a_flavor_says_there_is_a_query(
    specs: dict[str, str], flavor: dict[str, Any], in_volume: bool
) -> None:
    found = placement_query(flavor | {"extra_specs": specs}, {}, in_volume=in_volume)
    assert len(dict(found)) == len(found)
    assert all(name and value for name, value in found)


class Capacity:
    def __init__(self, flavor: dict[str, Any] | None) -> None:
        self.kept, self.asked = flavor, list[Any]()

    async def flavor(self, id: str) -> dict[str, Any] | None:
        self.asked.append(id)
        return self.kept

    async def has_candidates(self, one: Any, query: Any, zone: str) -> bool:
        self.asked.append((one.pod_name, query, zone))
        return True

    async def free_memory(self, one: Any) -> float:
        return 0.5


class Flavors:
    """What is recorded of flavors: one of this id."""

    def __init__(self, id: str, specs: dict[str, str]) -> None:
        self.id, self.document = id, json.dumps({"extra_specs": specs})

    async def find(self, id: str) -> Any:
        return self if id == self.id else None


def needs(
    flavor: dict[str, Any] | None, recorded: Any = None, **server: Any
) -> tuple[Needs, Capacity]:
    capacity = Capacity(flavor)
    parts = type("Parts", (), {"capacity": capacity})()
    flavors: Any = recorded or Flavors("", {})
    where = replace(context(Pods({}), definitions={"flavor": flavors}), parts=parts)
    return result_of(server_needs({"server": server}, where)), capacity


def test_tags_are_those_of_the_flavors_extra_spec() -> None:
    found, _ = needs(FLAVOR | {"extra_specs": {"trio2o:pod_tags": "gpu, ssd,,"}}, flavorRef="1")
    assert (found.tags, found.by) == (frozenset(("gpu", "ssd")), "flavor 1")
    assert needs(FLAVOR, flavorRef="1")[0].tags == frozenset()


def test_tags_of_a_flavor_that_no_pod_tells_in_time_are_those_recorded() -> None:
    known = Flavors("1", {"trio2o:pod_tags": "gpu"})
    assert needs(None, known, flavorRef="1")[0].tags == frozenset(("gpu",))
    assert needs(None, known, flavorRef="2")[0].tags == frozenset()


def test_a_flavor_is_named_by_its_id_or_its_url() -> None:
    for reference in ("m1.tiny", "http://top:1/v2.1/flavors/m1.tiny"):
        assert needs(FLAVOR, flavorRef=reference)[1].asked == ["m1.tiny"]


@pytest.mark.parametrize("reference", [None, "", "a/../?x", [], {}, "a\nb", "x?y=1"])
def test_what_is_no_flavor_asks_for_nothing(reference: Any) -> None:
    found, capacity = needs(None, flavorRef=reference)
    assert (found.tags, found.room) == (frozenset(), None)
    assert not any("?" in one or "\n" in one for one in capacity.asked)


def test_a_pod_is_asked_for_what_the_server_needs_there() -> None:
    found, capacity = needs(FLAVOR, flavorRef="1", imageRef=None)
    assert found.room is not None
    asked = [("resources", "MEMORY_MB:512,VCPU:2"), PLAIN]
    assert result_of(found.room(pod(1), Zone("az1", "nova", "vol"))) is True  # type: ignore[arg-type]
    assert capacity.asked[-1] == ("Pod1", asked, "nova")
    assert result_of(found.room(pod(1), None)) is True  # type: ignore[arg-type]
    assert capacity.asked[-1] == ("Pod1", asked, "")
