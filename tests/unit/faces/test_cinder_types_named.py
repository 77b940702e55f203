"""Types in what is asked for are called what each pod calls them."""

import json
from typing import Any

import pytest
from helpers import result_of
from msgspec.structs import replace
from world import Context, Pods, answer, context, pod

from trio2o.definitions import kept_as
from trio2o.domain.errors import NotFound
from trio2o.domain.values import Definition, Pod
from trio2o.faces.volume._types import (
    CONSISTENCY_TYPES_NAMED,
    GROUP_TYPES_NAMED,
    VOLUME_TYPE_NAMED,
    pools,
    specs_in_pod,
    specs_shown,
    type_in_body,
    type_in_query,
)
from trio2o.message import Answer, Call

ONE, TWO = pod(1), pod(2)


class Places:
    """The second pod has `gold` by another id, and nothing of what is called `lacking`."""

    tops = {"gold-2": "gold-1", "kind-2": "kind-1"}

    async def carry(self, key: str, pod: Pod) -> str:
        if key == "lacking":
            raise NotFound("Volume type lacking could not be found.")
        return key.replace("-1", f"-{pod.number}")

    async def lacking(self, key: str) -> frozenset[str]:
        return frozenset((TWO.pod_id,)) if key == "lacking" else frozenset()


class Definitions:
    def __init__(self, kind: str, **documents: Any) -> None:
        self.places = Places()
        self.found = [
            Definition(kind, key.replace("_", "-"), json.dumps({"name": key.split("_")[0], **more}))
            for key, more in documents.items()
        ]

    async def find(self, key: str) -> Definition | None:
        return next((one for one in self.found if one.key == key), None)

    async def all(self) -> list[Definition]:
        return self.found


def world(**specs: str) -> Context:
    types = Definitions(
        "volume_type",
        gold_1={"extra_specs": specs},
        lacking={},
        zoned_1={"extra_specs": {"RESKEY:availability_zones": "az2, az3"}},
    )
    kinds: Any = {"volume_type": types, "group_type": Definitions("group_type", kind_1={})}
    everything = lambda call: answer(200, {"pools": [{"name": call.query.decode()}]})  # noqa: E731
    pods = Pods({ONE: everything, TWO: everything})
    return replace(context(pods, definitions=kinds), below=b"/scheduler-stats/get_pools")


def named(verb: Any, body: dict[str, Any], pod: Pod = TWO) -> Any:
    return json.loads(result_of(verb(json.dumps(body).encode(), pod, world())))


@pytest.mark.parametrize("said", ["gold-1", "gold-2", "gold"])
def test_a_volume_type_by_any_of_its_ids_or_its_name_is_the_pods(said: str) -> None:
    body = {"volume": {"size": 1, "volume_type": said}}
    assert named(VOLUME_TYPE_NAMED, body)["volume"] == {"size": 1, "volume_type": "gold-2"}
    assert named(VOLUME_TYPE_NAMED, body, ONE)["volume"]["volume_type"] == "gold-1"


@pytest.mark.parametrize("said", ["unknown", "", None, 7])
def test_what_is_no_type_is_left_for_the_pod_to_refuse(said: Any) -> None:
    body = {"volume": {"size": 1, "volume_type": said}}
    assert named(VOLUME_TYPE_NAMED, body) == body
    assert named(VOLUME_TYPE_NAMED, {"volume": []}) == {"volume": []}
    assert result_of(VOLUME_TYPE_NAMED(b"{", TWO, world())) == b"{"


def test_a_type_that_the_pod_cannot_have_is_unknown() -> None:
    with pytest.raises(NotFound, match="lacking"):
        named(VOLUME_TYPE_NAMED, {"volume": {"volume_type": "lacking"}})


def test_types_of_groups_are_lists_and_texts_with_commas() -> None:
    body = {"group": {"volume_types": ["gold-1", "unknown"], "group_type": "kind"}}
    found = named(GROUP_TYPES_NAMED, body)["group"]
    assert found == {"volume_types": ["gold-2", "unknown"], "group_type": "kind-2"}
    body = {"consistencygroup": {"volume_types": "gold-1,gold,"}}
    found = named(CONSISTENCY_TYPES_NAMED, body)["consistencygroup"]
    assert found == {"volume_types": "gold-2,gold-2"}


@pytest.mark.parametrize(
    ("type", "lacking"),
    [("gold", ()), ("lacking", ("id-2",)), ("zoned-1", ("id-1",)), ("unknown", ()), (None, ())],
)
def test_pods_without_a_type_or_out_of_its_azs_are_passed_over(type: Any, lacking: Any) -> None:
    body = {"volume": {"volume_type": type}}
    assert result_of(VOLUME_TYPE_NAMED.lacking(body, world())) == frozenset(lacking)


def test_a_default_type_and_a_type_in_a_query_are_the_pods() -> None:
    body = json.dumps({"default_type": {"volume_type": "gold"}}).encode()
    found = result_of(type_in_body(Call("PUT", b"/", body=body), "p", TWO, world()))
    assert json.loads(found.body) == {"default_type": {"volume_type": "gold-2"}}
    call = Call("GET", b"/", b"vol_type_id=gold-1&x=gold-1")
    assert result_of(type_in_query(call, "q", TWO, world())).query == b"vol_type_id=gold-2&x=gold-1"


def test_pools_for_a_type_are_asked_for_by_its_name() -> None:
    found = result_of(pools(Call("GET", b"/", b"detail=true&volume_type=gold-1"), world()))
    names = [row["name"] for row in json.loads(found.body)["pools"]]
    assert names == ["detail=true&volume_type=gold"] * 2


SPECS = {"k": "top", "trio2o:Pod2:k": "two"}


def fitted(method: str, path: str, body: Any = None, pod: Pod = TWO) -> tuple[str, Any]:
    data = json.dumps(body).encode() if body is not None else b""
    call = Call(method, path.encode(), body=data)
    found = result_of(specs_in_pod(call, "gold-1", pod, world(**SPECS)))
    assert isinstance(found.body, bytes)
    return found.path.decode(), json.loads(found.body) if found.body else None


def test_what_a_pod_has_otherwise_is_written_beside_it() -> None:
    path, kept = "/types/gold-2/extra_specs", kept_as("k")
    body = {"extra_specs": {"k": "new", "other": "1"}}
    assert fitted("POST", path, body) == (path, {"extra_specs": {kept: "new", "other": "1"}})
    quoted = f"{path}/{kept.replace(':', '%3A')}"
    assert fitted("PUT", f"{path}/k", {"k": "new"}) == (quoted, {kept: "new"})
    assert fitted("DELETE", f"{path}/k") == (quoted, None)
    assert fitted("PUT", f"{path}/other", {"other": "1"}) == (f"{path}/other", {"other": "1"})
    assert fitted("POST", path, body, ONE) == (path, body)
    assert fitted("PUT", "/types/gold-2", {"volume_type": {"name": "k"}})[1] == {
        "volume_type": {"name": "k"}
    }


def test_what_a_pod_shows_is_told_as_the_tenants_have_it() -> None:
    theirs = {"k": "two", kept_as("k"): "top", "trio2o:Pod2:k": "two"}

    def shown(body: Any) -> Any:
        found = specs_shown(Answer(200, body=json.dumps(body).encode()))
        assert isinstance(found.body, bytes)
        return json.loads(found.body)

    assert shown({"volume_type": {"id": "1", "extra_specs": theirs}}) == {
        "volume_type": {"id": "1", "extra_specs": SPECS}
    }
    assert shown({"volume_types": [{"extra_specs": theirs}]}) == {
        "volume_types": [{"extra_specs": SPECS}]
    }
    assert shown({"extra_specs": theirs}) == {"extra_specs": SPECS}
    assert shown({kept_as("k"): "top"}) == {"k": "top"}
    untouched = Answer(200, body=b'{"volume_type": {"extra_specs": {}}}')
    assert specs_shown(untouched) is untouched
