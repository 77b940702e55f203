"""A user's keys are the same in every pod that needs them, whatever pods were down meanwhile."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest
import sqlalchemy as sa
from helpers import result_of
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from trio2o.definitions import Keypairs, Means, content
from trio2o.definitions._keypairs import KIND
from trio2o.domain.errors import Conflict, PodUnavailable
from trio2o.domain.values import Definition, Pod
from trio2o.message import Answer, Call
from trio2o.store._schema import metadata
from trio2o.store.definitions import asked_pods, find_definition, problems, settled_of
from trio2o.store.pods import remove_pod

PODS = tuple(Pod(f"id-{n}", n, f"Pod{n}", f"az{n}", "", "", "active", "2026") for n in (1, 2, 3))
ME = "user-1"


class Nova:
    """A pod's keypairs: (user, name) -> public key. A fingerprint is made of the key."""

    def __init__(self) -> None:
        self.keys: dict[tuple[str, str], str] = {}
        self.away = self.refuses = False
        self.calls: list[str] = []

    def answer(self, call: Call) -> Answer:
        path = unquote(call.path.decode())
        self.calls.append(f"{call.method} {path}")
        assert (b"OpenStack-API-Version", b"compute 2.10") in call.headers
        user = parse_qs(call.query.decode()).get("user_id", [""])[0]
        name = path.removeprefix("/os-keypairs").removeprefix("/")
        if call.method == "POST":
            if self.refuses:
                return said(403, {"forbidden": {"message": "Quota exceeded"}})
            wish = json.loads(call.body)["keypair"]
            key = (wish["user_id"], wish["name"])
            if key in self.keys:
                return said(409, {})
            self.keys[key] = wish["public_key"]
            return said(201, {"keypair": self.shown(*key)})
        if not name:
            found = [self.shown(*key) for key in self.keys if key[0] == user]
            return said(200, {"keypairs": [{"keypair": one} for one in found]})
        if (user, name) not in self.keys:
            return said(404, {})
        if call.method == "DELETE":
            del self.keys[user, name]
            return Answer(204)
        return said(200, {"keypair": self.shown(user, name)})

    def shown(self, user: str, name: str) -> dict[str, str]:
        return shown(name, self.keys[user, name])


def shown(name: str, key: str) -> dict[str, str]:
    return {"name": name, "public_key": key, "fingerprint": f"of-{key}", "type": "ssh"}


def said(status: int, body: Any) -> Answer:
    return Answer(status, body=json.dumps(body).encode())


class Pods:
    def __init__(self) -> None:
        self.novas = {pod: Nova() for pod in PODS}

    def serving(self, service: str) -> tuple[Pod, ...]:
        return tuple(self.novas)

    def is_down(self, pod: Pod, service: str) -> bool:
        return False

    def get(self, pod_id: str) -> Pod | None:
        return next((pod for pod in PODS if pod.pod_id == pod_id), None)

    def speaks(self, pod: Pod, service: str, version: Any) -> bool:
        return True

    async def send(self, pod: Pod, target: Any, call: Call, deadline: float) -> Answer:
        if self.novas[pod].away:
            raise PodUnavailable(pod.pod_name, "away")
        return self.novas[pod].answer(call)


class Store:
    def __init__(self, connection: sa.Connection) -> None:
        self.connection = connection

    async def read(self, query: Callable[[sa.Connection], Any]) -> Any:
        return query(self.connection)

    write = read


class World:
    def __init__(self) -> None:
        self.connection = sa.create_engine("sqlite://").connect()
        metadata.create_all(self.connection)
        self.pods = Pods()

        async def token() -> str:
            return "own"

        store: Any = Store(self.connection)
        pods: Any = self.pods
        self.keypairs = Keypairs(Means(Clock(), lambda: "now", store, pods, token))

    def nova(self, number: int) -> Nova:
        return self.pods.novas[PODS[number - 1]]

    def create(self, name: str, key: str, pod: int = 1) -> None:
        """As the face does it: the first pod makes it, then it is recorded."""
        self.nova(pod).keys[ME, name] = key
        result_of(self.keypairs.created(PODS[pod - 1], shown(name, key), ME))

    def known(self, name: str) -> Definition | None:
        return find_definition(self.connection, KIND, f"{ME}/{name}")

    def delete(self, name: str) -> None:
        found = result_of(self.keypairs.find(ME, name))
        assert found is not None
        result_of(self.keypairs.delete(found))

    def names(self) -> list[str]:
        found = result_of(self.keypairs.of_user(ME))
        return [content(keypair.document)["name"] for keypair in found]

    def everywhere(self, name: str) -> list[str | None]:
        return [nova.keys.get((ME, name)) for nova in self.pods.novas.values()]

    def run(self) -> Any:
        return result_of(self.keypairs.run())


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    yield made
    made.connection.close()


def test_a_new_key_is_in_every_pod() -> None:
    world = World()
    world.create("k", "A")
    assert world.everywhere("k") == ["A", "A", "A"]
    made = world.known("k")
    assert made is not None
    kept = content(made.document)
    assert (made.number, kept["fingerprint"], kept["created_at"]) == (1, "of-A", "now")
    assert world.names() == ["k"]


def test_a_deleted_key_goes_from_every_pod_and_is_forgotten(world: World) -> None:
    world.create("k", "A")
    world.delete("k")
    assert world.everywhere("k") == [None, None, None]
    assert world.names() == []
    assert world.known("k") is None
    assert settled_of(world.connection, KIND, f"{ME}/k") == {}


def test_a_pod_that_was_away_gets_what_it_missed(world: World) -> None:
    world.create("old", "A")
    world.nova(2).away = True
    world.create("new", "B")
    world.delete("old")
    assert world.names() == ["new"]
    world.nova(2).away = False
    assert world.everywhere("old") == [None, "A", None]
    counted = world.run()
    assert world.everywhere("old") == [None, None, None]
    assert counted.mended >= 1
    result_of(world.keypairs.carry(ME, "new", PODS[1]))
    assert world.everywhere("new") == ["B", "B", "B"]
    assert world.run().drift == 0


def test_a_key_of_the_same_name_replaces_the_deleted_one_in_a_pod_that_missed_both(
    world: World,
) -> None:
    world.create("k", "A")
    world.nova(3).away = True
    world.delete("k")
    world.create("k", "B")
    world.nova(3).away = False
    result_of(world.keypairs.carry(ME, "k", PODS[2]))
    assert world.everywhere("k") == ["B", "B", "B"]


def test_keys_that_pods_had_before_are_taken_up_once(world: World) -> None:
    for nova in world.pods.novas.values():
        nova.keys[ME, "mine"] = "A"
    world.nova(2).keys[ME, "only-here"] = "B"
    world.nova(2).keys["another", "theirs"] = "C"
    assert world.names() == ["mine", "only-here"]
    calls = len(world.nova(2).calls)
    assert world.names() == ["mine", "only-here"]
    assert len(world.nova(2).calls) == calls
    result_of(world.keypairs.carry(ME, "only-here", PODS[0]))
    assert world.everywhere("only-here") == ["B", "B", None]


def test_another_key_of_the_name_is_reported_and_left_alone(world: World) -> None:
    world.nova(1).keys[ME, "k"] = "A"
    world.nova(2).keys[ME, "k"] = "B"
    assert world.names() == ["k"]
    assert result_of(world.keypairs.conflicts(ME, "k")) == {"id-2"}
    with pytest.raises(Conflict, match="Pod2"):
        result_of(world.keypairs.carry(ME, "k", PODS[1]))
    world.run()
    assert world.everywhere("k") == ["A", "B", None]
    (problem,) = problems(world.connection)
    assert (problem.pod_id, problem.key) == ("id-2", f"{ME}/k")


def test_a_conflict_ends_when_the_operator_removes_the_other_key(world: World) -> None:
    world.nova(1).keys[ME, "k"] = "A"
    world.nova(2).keys[ME, "k"] = "B"
    world.names()
    del world.nova(2).keys[ME, "k"]
    world.run()
    assert world.everywhere("k") == ["A", "A", None]
    assert result_of(world.keypairs.conflicts(ME, "k")) == frozenset()


def test_what_changed_behind_our_back_is_put_right(world: World) -> None:
    world.create("k", "A")
    del world.nova(1).keys[ME, "k"]
    world.nova(2).keys[ME, "k"] = "B"
    counted = world.run()
    assert world.everywhere("k") == ["A", "A", "A"]
    assert (counted.looked, counted.drift, counted.mended, counted.failed) == (3, 2, 2, 0)


def test_a_pass_counts_what_it_could_not_mend(world: World) -> None:
    world.create("k", "A")
    world.nova(1).away = True
    assert world.run().failed == 1


def test_a_pod_that_is_removed_is_forgotten(world: World) -> None:
    world.create("k", "A")
    world.names()
    remove_pod(world.connection, "id-2", "now")
    assert set(settled_of(world.connection, KIND, f"{ME}/k")) == {"id-1", "id-3"}
    assert asked_pods(world.connection, ME) == {"id-1", "id-3"}


def test_a_pod_that_will_not_have_a_key_is_told_with_its_reason(world: World) -> None:
    world.nova(2).refuses = True
    world.create("k", "A")
    assert world.everywhere("k") == ["A", None, "A"]
    assert result_of(world.keypairs.conflicts(ME, "k")) == {"id-2"}
    with pytest.raises(Conflict, match="Pod2 cannot have key pair 'k': .*Quota"):
        result_of(world.keypairs.carry(ME, "k", PODS[1]))
    world.nova(2).refuses = False
    result_of(world.keypairs.carry(ME, "k", PODS[1]))
    assert world.everywhere("k") == ["A", "A", "A"]


def test_who_makes_a_key_in_a_pod_a_moment_before_us_is_no_problem(world: World) -> None:
    world.nova(2).away = True
    world.create("k", "A")
    nova = world.nova(2)
    nova.away, answer = False, nova.answer

    def race(call: Call) -> Answer:
        if call.method == "POST":
            nova.keys[ME, "k"] = "A"
        return answer(call)

    nova.answer = race  # type: ignore[method-assign]
    result_of(world.keypairs.carry(ME, "k", PODS[1]))
    assert result_of(world.keypairs.conflicts(ME, "k")) == frozenset()


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["create", "delete", "away", "back", "lose", "pass"]),
            st.sampled_from("xy"),
            st.integers(1, 3),
        ),
        max_size=20,
    )
)
def test_after_all_pods_are_back_a_pass_leaves_what_should_be(
    steps: list[tuple[str, str, int]],
) -> None:
    world, wanted = World(), dict[str, str]()
    for number, (what, name, pod) in enumerate(steps):
        nova = world.nova(pod)
        if what == "create" and name not in wanted and not nova.away:
            if (ME, name) in nova.keys:
                continue  # the pod itself would refuse
            world.create(name, f"K{number}", pod)
            wanted[name] = f"K{number}"
        elif what == "delete" and name in wanted:
            world.delete(name)
            del wanted[name]
        elif what in ("away", "back"):
            nova.away = what == "away"
        elif what == "lose" and not nova.away:
            nova.keys.pop((ME, name), None)
        elif what == "pass":
            world.run()
        assert world.names() == sorted(wanted)
    for nova in world.pods.novas.values():
        nova.away = False
    world.run()
    for name in "xy":
        for pod in PODS:
            result_of(world.keypairs.carry(ME, name, pod))
        assert world.everywhere(name) == [wanted.get(name)] * 3
    assert world.run().drift == 0
    world.connection.close()
