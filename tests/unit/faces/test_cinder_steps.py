"""What is particular to Cinder: transfers, storage under management, sums over pods."""

import json
from typing import Any

import pytest
from attrs import evolve
from helpers import result_of
from msgspec.structs import replace
from world import PROJECT, Ask, Pods, Routes, answer, context, pod, route

from trio2o.domain.errors import BadRequest, PodUnavailable
from trio2o.domain.resources import qualified
from trio2o.faces.resources import SERVER, SNAPSHOT, VOLUME
from trio2o.faces.volume import VolumeFace
from trio2o.faces.volume import _totals as totals
from trio2o.faces.volume._moves import accept
from trio2o.faces.volume.operations import CREATE_VOLUME, MANAGE_VOLUME
from trio2o.faces.volume_resources import TRANSFER
from trio2o.message import Answer, Call
from trio2o.store import bindings as binding_rows
from trio2o.verbs import Context, Reply, Surface

ID = "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
VOLUME_ID = "11111111-6a52-4a6a-8f4f-0b7a3f4b1a55"
ONE, TWO = pod(1), pod(2)


@pytest.fixture(autouse=True)
def recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("bind", "rebind"):
        monkeypatch.setattr(binding_rows, name, lambda connection, wanted: wanted)


def world(one: Ask, two: Ask, below: str, *known: Any, **params: str) -> Context:
    surface = Surface("volume", "http://top:1", "v3", resources=VolumeFace.resources)
    where = context(Pods({ONE: one, TWO: two}), Known(*known))
    return replace(where, surface=surface, below=below.encode(), params=params)


class Known(Routes):
    async def known(self, resource: Any, id: str) -> Any:
        return self.kept.get((resource.type, id))


def sent(where: Context, method: str = "POST") -> list[tuple[str, Any]]:
    calls = where.pods.sent  # type: ignore[attr-defined]
    return [
        (name, call.body and json.loads(call.body)) for name, call in calls if call.method == method
    ]


def missing(call: Call) -> Answer:
    return answer(404, {"itemNotFound": {"code": 404, "message": "no transfer"}})


def has_transfer(call: Call) -> Answer:
    if call.method == "GET":
        return answer(200, {"snapshots": [{"id": "snap"}]})
    return answer(202, {"transfer": {"id": ID, "volume_id": VOLUME_ID, "name": "n", "links": []}})


def take(where: Context) -> Answer:
    return result_of(accept(Call("POST", b"/", body=b'{"accept": {"auth_key": "k"}}'), where))


PATH = f"/volume-transfers/{ID}/accept"


def test_a_transfer_is_taken_though_its_taker_cannot_see_it() -> None:
    theirs = [route(VOLUME, VOLUME_ID, TWO, project_id="old"), route(TRANSFER, ID, TWO)]
    where = world(missing, has_transfer, PATH, *theirs, id=ID)
    assert take(where).status == 202
    assert [name for name, _ in sent(where)] == ["Pod2"]
    kept = where.routes.kept  # type: ignore[attr-defined]
    assert kept[(VOLUME.type, VOLUME_ID)].project_id == PROJECT
    assert kept[(SNAPSHOT.type, "snap")].project_id == PROJECT
    assert kept[(TRANSFER.type, ID)].deleted_at


def test_a_transfer_that_a_pod_made_without_us_is_found_by_asking_in_turn() -> None:
    where = world(missing, has_transfer, PATH, id=ID)
    assert take(where).status == 202
    assert [name for name, _ in sent(where)] == ["Pod1", "Pod2"]


def test_a_wrong_key_goes_to_no_other_pod() -> None:
    where = world(lambda call: answer(400, {"badRequest": {}}), has_transfer, PATH, id=ID)
    assert take(where).status == 400
    assert len(sent(where)) == 1


def test_a_transfer_that_only_a_pod_that_is_down_may_have_is_not_unknown() -> None:
    where = world(missing, has_transfer, PATH, id=ID)
    where.pods.down = {TWO}  # type: ignore[attr-defined]
    with pytest.raises(PodUnavailable):
        take(where)
    where.pods.down = set()  # type: ignore[attr-defined]
    where = world(missing, missing, PATH, id=ID)
    assert take(where).status == 404


def backends(*hosts: str) -> Ask:
    def ask(call: Call) -> Answer:
        if call.method == "GET":
            return answer(200, {"services": [{"host": host, "cluster": None} for host in hosts]})
        return answer(202, {"volume": {"id": VOLUME_ID}})

    return ask


def manage(where: Context, host: str, **more: str) -> Answer:
    body = json.dumps({"volume": {"host": host, "ref": {}, **more}}).encode()
    return result_of(MANAGE_VOLUME(Call("POST", b"/", body=body), where))


def test_storage_is_managed_in_the_pod_of_its_backend() -> None:
    where = world(backends("a@x"), backends("b@x"), "/manageable_volumes")
    manage(where, "b@x#pool", availability_zone="az2")
    expected = {"host": "b@x#pool", "ref": {}, "availability_zone": "nova"}
    assert sent(where) == [("Pod2", {"volume": expected})]
    assert where.routes.kept[(VOLUME.type, VOLUME_ID)].pod_id == TWO.pod_id  # type: ignore[attr-defined]


def test_a_backends_name_that_two_pods_have_is_told_apart() -> None:
    where = world(backends("a@x"), backends("a@x"), "/manageable_volumes")
    with pytest.raises(BadRequest, match=r"a@x#p\.Pod1 or a@x#p\.Pod2"):
        manage(where, "a@x#p")
    manage(where, "a@x#p.Pod2")
    assert sent(where) == [("Pod2", {"volume": {"host": "a@x#p", "ref": {}}})]


@pytest.mark.parametrize("key", ["same_host", "local_to_instance"])
def test_a_hint_that_names_a_thing_pins_a_new_volume(key: str) -> None:
    kind = VOLUME if key == "same_host" else SERVER
    where = world(backends(), backends(), "/volumes", route(kind, ID, TWO))
    body = {"volume": {"size": 1}, "OS-SCH-HNT:scheduler_hints": {key: ID}}
    create = evolve(CREATE_VOLUME, needs=None)  # what is pinned is not asked for room
    result_of(create(Call("POST", b"/", body=json.dumps(body).encode()), where))
    assert sent(where)[0][0] == "Pod2"


def test_a_summary_adds_up_and_joins_metadata() -> None:
    def said(count: int, **metadata: list[str]) -> dict[str, Any]:
        return {
            "volume-summary": {"total_count": count, "total_size": 2 * count, "metadata": metadata}
        }

    found = totals.summary([(ONE, said(1, a=["x"], b=["y"])), (TWO, said(2, a=["x", "z"]))])
    assert found == said(3, a=["x", "z"], b=["y"])


def test_filters_are_those_that_every_pod_knows() -> None:
    def said(**resources: list[str]) -> dict[str, Any]:
        rows = [{"resource": name, "filters": known} for name, known in resources.items()]
        return {"resource_filters": rows}

    one, two = said(volume=["name", "status"], pool=["name"]), said(volume=["status", "size"])
    assert totals.filters([(ONE, one), (TWO, two)]) == said(volume=["status"])


def cleaning(call: Call) -> Answer:
    row = {"id": 7, "host": "h", "binary": "cinder-volume", "cluster_name": None}
    return answer(202, {"cleaning": [row], "unavailable": []})


def clean(where: Context, **body: Any) -> list[int]:
    call = Call("POST", b"/", body=json.dumps(body).encode())
    found = result_of(Reply(totals.cleanup)(call, where))
    assert found.status == 202
    return [row["id"] for row in json.loads(found.body)["cleaning"]]


def test_workers_of_all_pods_are_cleaned_and_their_numbers_told_apart() -> None:
    where = world(cleaning, cleaning, "/workers/cleanup", route(VOLUME, VOLUME_ID, TWO))
    assert clean(where) == [qualified(1, 7), qualified(2, 7)]
    assert clean(where, resource_id=VOLUME_ID) == [qualified(2, 7)]
    assert clean(where, service_id=qualified(1, 7)) == [qualified(1, 7)]
    assert sent(where)[-2:] == [("Pod2", {"resource_id": VOLUME_ID}), ("Pod1", {"service_id": 7})]
