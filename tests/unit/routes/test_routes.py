"""Where an id lives: kept in memory, in the store, and looked for in the pods once."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from attrs import evolve
from helpers import result_of
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from trio2o.domain.errors import PodUnavailable
from trio2o.domain.values import Caller, Pod, Route
from trio2o.faces.resources import FLAVOR, SERVER, VOLUME
from trio2o.message import Answer, Call
from trio2o.routes import Routes
from trio2o.store._schema import metadata
from trio2o.store.routes import find_route, record_routes

ID = "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
ONE, TWO = (Pod(f"id-{n}", n, f"Pod{n}", f"az{n}", "", "", "active", "2026") for n in (1, 2))
ME = Caller("my-token", "me", "my-project", (), 9.0)


class Store:
    """The store's own functions on a database in memory, one after the other."""

    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    async def read(self, query: Callable[[sa.Connection], Any]) -> Any:
        return query(self.connection)

    write = read

    async def add(self, put: Callable[[sa.Connection, Any], None], rows: Any) -> None:
        put(self.connection, rows)


class Pods:
    """Two pods. `has` tells what each answers to a question for an id."""

    def __init__(self) -> None:
        self.has: dict[Pod, Callable[[], Answer | Exception]] = {ONE: nothing, TWO: nothing}
        self.asked: list[tuple[str, Call]] = []
        self.waiting: Deferred[None] | None = None

    def get(self, pod_id: str) -> Pod | None:
        return next((pod for pod in self.has if pod.pod_id == pod_id), None)

    def serving(self, service: str) -> tuple[Pod, ...]:
        return tuple(self.has)

    async def send(self, pod: Pod, target: Any, call: Call, deadline: float) -> Answer:
        self.asked.append((pod.pod_name, call))
        if self.waiting is not None:
            await self.waiting
        found = self.has[pod]()
        if isinstance(found, Exception):
            raise found
        return found


def nothing() -> Answer:
    return Answer(404)


def server(**fields: str) -> Callable[[], Answer]:
    return lambda: Answer(200, body=json.dumps({"server": {"id": ID} | fields}).encode())


@pytest.fixture
def store() -> Iterator[Store]:
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        yield Store(connection)


class World:
    def __init__(self, store: Store) -> None:
        self.store, self.clock, self.pods = store, Clock(), Pods()
        self.routes = self.again()

    def again(self) -> Routes:
        """As after a restart: memory is empty."""

        async def service_token() -> str:
            return "service-token"

        self.routes = Routes(self.clock, lambda: 0.0, self.store, self.pods, service_token)  # type: ignore[arg-type]
        return self.routes

    def find(self, id: str = ID, caller: Caller = ME, resource: Any = SERVER) -> Route | None:
        return result_of(self.routes.find(resource, id, caller, 10.0))

    def known(self) -> Route | None:
        return result_of(self.routes.known(SERVER, ID))


@pytest.fixture
def world(store: Store) -> World:
    return World(store)


def test_an_id_that_no_one_recorded_is_looked_for_and_learned(world: World) -> None:
    world.pods.has[TWO] = server(tenant_id="owner")
    wanted = Route("server", ID, TWO.pod_id, ID, "owner", details='{"tenant_id":"owner"}')
    assert world.find() == wanted
    assert sorted(name for name, _ in world.pods.asked) == ["Pod1", "Pod2"]
    assert world.find() == evolve(wanted, details="")
    assert len(world.pods.asked) == 2
    world.again()
    assert world.find() == world.known() == wanted
    assert len(world.pods.asked) == 2


def test_a_probe_asks_as_the_caller_with_our_own_token_beside(world: World) -> None:
    world.find()
    _, call = world.pods.asked[0]
    assert (call.method, call.path) == ("GET", f"/servers/{ID}".encode())
    assert (b"X-Auth-Token", b"my-token") in call.headers
    assert (b"X-Service-Token", b"service-token") in call.headers


def test_a_miss_is_remembered_for_a_while_and_for_its_project_only(world: World) -> None:
    assert world.find() is None
    assert world.find() is None
    assert len(world.pods.asked) == 2
    world.find(caller=Caller("t", "u", "another", (), 9.0))
    assert len(world.pods.asked) == 4
    world.clock.advance(3.1)
    world.pods.has[ONE] = server()
    assert world.find() is not None


def test_a_new_pod_ends_what_is_remembered_of_misses(world: World) -> None:
    assert world.find() is None
    world.pods.has[ONE] = server()
    world.routes.look_again()
    assert world.find() is not None


@pytest.mark.parametrize("id", ["", "x", "detail", ID + "0", ID[:-1] + "g", f"{ID}\n", "../" + ID])
def test_what_cannot_be_an_id_is_not_looked_for(world: World, id: str) -> None:
    assert world.find(id) is None
    assert world.pods.asked == []


def test_a_pod_that_cannot_be_asked_makes_none_unsure(world: World) -> None:
    world.pods.has[ONE] = lambda: PodUnavailable("Pod1", "down")
    with pytest.raises(PodUnavailable):
        world.find()
    world.pods.has[TWO] = server()
    found = world.find()
    assert found is not None and found.pod_id == TWO.pod_id


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"server": 1}', b"<html>"])
def test_an_answer_that_shows_nothing_is_not_believed(world: World, body: bytes) -> None:
    world.pods.has[ONE] = lambda: Answer(200, body=body)
    with pytest.raises(PodUnavailable):
        world.find()


def test_an_error_of_a_pod_is_no_miss(world: World) -> None:
    world.pods.has[ONE] = lambda: Answer(500)
    with pytest.raises(PodUnavailable):
        world.find()
    world.pods.has[ONE] = server()
    assert world.find() is not None


def test_many_who_ask_at_once_cost_one_probe(world: World) -> None:
    world.pods.waiting = Deferred()
    asked = [Deferred.fromCoroutine(world.routes.find(SERVER, ID, ME, 9.0)) for _ in range(5)]
    world.pods.has[ONE] = server()
    world.pods.waiting.callback(None)
    assert {result_of(one) for one in asked} == {Route("server", ID, "id-1", ID, "my-project")}
    assert len(world.pods.asked) == 2


def test_a_tombstone_is_kept_and_a_thing_that_is_back_replaces_it(world: World) -> None:
    world.pods.has[ONE] = server()
    route = world.find()
    assert route is not None
    result_of(world.routes.forget(route))
    gone = world.find()
    assert gone is not None and gone.deleted_at.startswith("1970-01-01")
    world.again()
    assert world.find() == gone
    result_of(world.routes.learn([route]))
    assert world.find() == route


def test_routes_into_a_pod_that_was_removed_count_no_more(world: World) -> None:
    world.pods.has[ONE] = server()
    world.find()
    del world.pods.has[ONE]
    world.pods.has[TWO] = server()
    found = world.find()
    assert found is not None and found.pod_id == TWO.pod_id


def test_a_volume_names_its_owner_in_its_own_key(world: World) -> None:
    shown = {"volume": {"id": ID, "os-vol-tenant-attr:tenant_id": "owner"}}
    world.pods.has[ONE] = lambda: Answer(200, body=json.dumps(shown).encode())
    found = world.find(resource=VOLUME)
    assert found is not None and found.project_id == "owner"


def test_ids_of_two_kinds_do_not_meet(world: World) -> None:
    world.pods.has[ONE] = server()
    world.find()
    assert result_of(world.store.read(lambda c: find_route(c, "volume", ID))) is None


def test_a_sweep_buries_what_is_gone_and_believes_no_failure(world: World) -> None:
    ids = [f"{n}{ID[1:]}" for n in range(3)]
    result_of(world.routes.learn([Route("server", id, "id-1", id, "p") for id in ids]))
    result_of(world.routes.learn([Route("flavor", "f", "id-1", "f", "p")]))
    answers = iter([Answer(404), server()(), Answer(500)])
    world.pods.has[ONE] = lambda: next(answers)
    standing = result_of(world.routes.sweep(ONE, {"server": SERVER, "x": FLAVOR}, ME, 9.0))
    assert standing == 3
    first = world.find(ids[0])
    assert first is not None and first.deleted_at


def row(**more: Any) -> dict[str, Any]:
    return {"id": ID, "tenant_id": "p", "created": "then", "name": "not kept"} | more


def noted(world: World, *rows: dict[str, Any]) -> None:
    result_of(world.routes.note(SERVER, ONE, rows))


def test_listing_teaches_where_things_live_and_what_they_are(world: World) -> None:
    noted(world, row())
    assert world.find() is not None and world.pods.asked == []
    found = world.known()
    assert found is not None
    assert (found.pod_id, found.project_id) == ("id-1", "p")
    assert json.loads(found.details) == {"tenant_id": "p", "created": "then"}
    assert not world.routes.has_all(SERVER, ID)
    noted(world, row(flavor={"original_name": "m1", "ram": 1}, user_id="u"))
    assert world.routes.has_all(SERVER, ID)
    found = world.known()
    assert found is not None and json.loads(found.details)["flavor"]["ram"] == 1


def test_details_outlive_a_restart_and_what_is_learned_without_them(world: World) -> None:
    noted(world, row(flavor={"original_name": "m1"}))
    result_of(world.routes.learn([Route("server", ID, "id-1", ID, "p")]))
    assert world.routes.has_all(SERVER, ID)
    world.again()
    world.find()
    assert world.routes.has_all(SERVER, ID)


def test_what_a_pod_has_of_a_project_is_known(world: World) -> None:
    noted(world, row(), row(id="other", tenant_id="q"))
    mine = result_of(world.routes.of_pod(SERVER, ONE, "p"))
    assert [route.top_id for route in mine] == [ID]
    assert len(result_of(world.routes.of_pod(SERVER, ONE, None))) == 2
    assert result_of(world.routes.of_pod(SERVER, TWO, None)) == ()
    result_of(world.routes.forget(mine[0]))
    assert result_of(world.routes.of_pod(SERVER, ONE, "p")) == ()


# other processes over the same store


def test_a_tombstone_that_another_process_raises_is_a_route_again(world: World) -> None:
    route = Route("server", ID, ONE.pod_id, ID, "my-project")
    result_of(world.routes.learn([route]))
    result_of(world.routes.forget(route))
    gone = world.find()
    assert gone is not None and gone.deleted_at
    record_routes(world.store.connection, [evolve(route, pod_id=TWO.pod_id)])
    assert world.find() == evolve(route, pod_id=TWO.pod_id)
    assert world.pods.asked == []


def test_a_route_that_another_process_moved_gets_no_tombstone(world: World) -> None:
    route = Route("server", ID, ONE.pod_id, ID, "my-project")
    moved = evolve(route, pod_id=TWO.pod_id)
    result_of(world.routes.learn([route]))
    record_routes(world.store.connection, [moved])
    assert world.find() == route
    result_of(world.routes.forget(route))
    assert find_route(world.store.connection, "server", ID) == moved
    assert world.find() == moved


def test_what_another_process_changed_is_seen_when_it_is_asked_for(world: World) -> None:
    route = Route("server", ID, ONE.pod_id, ID, "my-project")
    result_of(world.routes.learn([route]))
    assert result_of(world.routes.again(route)) is None
    gone = evolve(route, deleted_at="2026-02-01")
    record_routes(world.store.connection, [gone])
    assert result_of(world.routes.again(route)) == gone
    assert world.find() == gone
    assert result_of(world.routes.again(gone)) is None


def test_a_route_of_a_pod_that_is_gone_is_not_used(world: World) -> None:
    result_of(world.routes.learn([Route("server", ID, ONE.pod_id, ID, "my-project")]))
    del world.pods.has[ONE]
    world.pods.has[TWO] = server(tenant_id="my-project")
    found = world.find()
    assert found is not None and found.pod_id == TWO.pod_id


def test_a_sweeps_place_is_kept_for_whoever_sweeps_next(world: World) -> None:
    assert result_of(world.routes.swept("id-1", "server")) is None
    result_of(world.routes.put_swept("id-1", "server", 17.5))
    assert result_of(world.again().swept("id-1", "server")) == 17.5
    assert result_of(world.routes.swept("id-1", "volume")) is None
