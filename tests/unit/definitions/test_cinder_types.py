"""Volume types and what names them are the same in every pod, by one id at the top."""

import json
from typing import Any

import pytest
from attrs import evolve
from cinder_world import PODS, World
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from trio2o.definitions import kept_as, local, to_top
from trio2o.definitions._extra_specs import ZONES, to_pod
from trio2o.domain.values import Pod
from trio2o.store.definitions import set_pending

NAMES = st.sampled_from(
    ["a", "volume_backend_name", ZONES, "x:y", "trio2o:Pod1:a", "trio2o:Pod2:b"]
)
SPECS = st.dictionaries(NAMES, st.sampled_from(["", "1", "az1", "az1,az2", "az2.Pod2"]))


UNZONED = evolve(PODS[1], pod_az_name="")


@given(SPECS, st.sampled_from((*PODS, UNZONED)))
def test_what_a_pod_has_tells_what_the_specs_are(specs: dict[str, str], pod: Pod) -> None:
    assert to_top(to_pod(specs, pod)) == specs


def test_a_value_for_one_pod_stands_there_alone() -> None:
    specs = {"volume_backend_name": "gold", "trio2o:Pod2:volume_backend_name": "lvm", ZONES: "az2"}
    one, two = (to_pod(specs, pod) for pod in PODS)
    assert one == specs
    assert (two["volume_backend_name"], two[ZONES]) == ("lvm", "nova")
    assert two[kept_as("volume_backend_name")] == "gold"
    assert set(local(specs, PODS[1])) == {"volume_backend_name", ZONES}
    assert ZONES not in to_pod(specs, UNZONED)


def create(world: World, name: str = "gold", **fields: Any) -> str:
    wish = {"name": name, "extra_specs": {"k": "v"}, **fields}
    key, status = world.change("volume_type", "POST", "/types", body={"volume_type": wish})
    assert status == 200
    return key


def test_a_type_has_the_id_of_the_pod_that_made_it_first_and_each_pod_its_own() -> None:
    world = World()
    world.run()
    key = create(world)
    assert key.endswith("Pod1")
    assert world.id_in("volume_type", key, PODS[0]) == key
    assert world.id_in("volume_type", key, PODS[1]).endswith("Pod2")
    assert world.cinder(2).named("types", "gold")["extra_specs"] == {"k": "v"}  # type: ignore[index]


def test_the_usual_type_of_every_pod_is_one() -> None:
    world = World()
    world.run()
    places = world.definitions["volume_type"].places
    assert places.tops == {"types-1-Pod2": "types-1-Pod1"}
    assert not world.problems()


def test_a_usual_type_that_is_otherwise_in_a_pod_is_reported_and_left_alone() -> None:
    world = World()
    world.cinder(2).named("types", "__DEFAULT__")["extra_specs"] = {"other": "1"}  # type: ignore[index]
    world.run()
    assert list(world.problems()) == ["volume_type id-2"]
    assert not world.changes()


def test_a_type_in_use_anywhere_stays_everywhere() -> None:
    world = World()
    world.run()
    key = create(world)
    world.cinder(2).in_use.add(world.id_in("volume_type", key, PODS[1]))
    assert world.change("volume_type", "DELETE", "/types/{id}", key)[1] == 400
    assert [bool(world.cinder(n).named("types", "gold")) for n in (1, 2)] == [True, True]
    world.cinder(2).in_use.clear()
    assert world.change("volume_type", "DELETE", "/types/{id}", key)[1] == 202
    assert [bool(world.cinder(n).named("types", "gold")) for n in (1, 2)] == [False, False]


def test_qos_is_put_to_a_type_that_a_pod_gets_later() -> None:
    world = World()
    world.run()
    world.cinder(2).down = True
    key = create(world)
    wish = {"qos_specs": {"name": "fast", "consumer": "back-end", "iops": "1"}}
    qos, _ = world.change("qos_spec", "POST", "/qos-specs", body=wish)
    path = "/qos-specs/{id}/associate?vol_type_id={type}"
    assert world.change("qos_spec", "GET", path, qos, named=key)[1] == 202
    world.cinder(2).down = False
    world.run()
    made = world.cinder(2).named("qos-specs", "fast")
    assert made is not None
    assert made["types"] == [world.id_in("volume_type", key, PODS[1])]


def test_what_pods_have_by_themselves_is_taken_up_and_carried_to_the_others() -> None:
    world = World()
    made = world.cinder(2).add("types", name="own", extra_specs={"k": "v"})
    fast = world.cinder(2).add("qos-specs", name="fast", consumer="both", specs={"iops": "1"})
    fast["types"] = [made["id"]]
    world.cinder(2).add("group_types", name="kind", group_specs={"k": "v"})
    world.run()
    world.run()
    type, qos = world.cinder(1).named("types", "own"), world.cinder(1).named("qos-specs", "fast")
    assert type is not None
    assert qos is not None
    assert (type["extra_specs"], qos["types"]) == ({"k": "v"}, [type["id"]])
    assert world.cinder(1).named("group_types", "kind")


def test_a_projects_default_type_is_each_pods_own() -> None:
    world = World()
    world.run()
    key = create(world)
    body = {"default_type": {"volume_type": "{type}"}}
    assert world.change("default_type", "PUT", "/default-types/p", "p", body, key)[1] == 200
    for pod in PODS:
        assert world.cinders[pod].defaults == {"p": world.id_in("volume_type", key, pod)}
    assert world.change("default_type", "DELETE", "/default-types/p", "p")[1] == 204
    assert [world.cinders[pod].defaults for pod in PODS] == [{}, {}]


def test_what_is_one_pods_own_is_brought_there_though_drift_is_only_reported() -> None:
    world = World(mend=False)
    world.run()
    key = create(world)
    specs = {"extra_specs": {"trio2o:Pod1:k": "one"}}
    assert world.change("volume_type", "POST", "/types/{id}/extra_specs", key, specs)[1] == 202
    made = world.cinder(1).named("types", "gold")
    assert made is not None
    assert made["extra_specs"]["k"] == "one"
    assert not world.problems()


@pytest.mark.parametrize("down", [1, 2])
def test_an_override_that_was_written_while_a_pod_was_down_holds_when_it_returns(down: int) -> None:
    world = World()
    world.run()
    key = create(world)
    world.cinder(down).down = True
    specs = {"extra_specs": {"trio2o:Pod2:k": "two"}}
    assert world.change("volume_type", "POST", "/types/{id}/extra_specs", key, specs)[1] == 202
    world.cinder(down).down = False
    world.run()
    values = [world.cinder(n).named("types", "gold")["extra_specs"]["k"] for n in (1, 2)]  # type: ignore[index]
    assert values == ["v", "two"]


TYPES, VALUES = st.sampled_from("abc"), st.sampled_from("123")


class Machine(RuleBasedStateMachine):
    """Whatever is changed while pods come and go, they are the same in the end."""

    @initialize()
    def begin(self) -> None:
        self.world = World()
        self.world.run()
        self.types: dict[str, str] = {}
        self.qos: dict[str, str] = {}

    def ask(self, *words: Any, **more: Any) -> tuple[str, int]:
        try:
            return self.world.change(*words, **more)
        except Exception as fault:
            assert hasattr(fault, "status"), fault
            return "", fault.status

    @rule(name=TYPES, public=st.booleans())
    def create(self, name: str, public: bool) -> None:
        wish = {"name": name, "os-volume-type-access:is_public": public}
        key, status = self.ask("volume_type", "POST", "/types", body={"volume_type": wish})
        if status == 200:
            self.types[name] = key

    @rule(name=TYPES)
    def delete(self, name: str) -> None:
        if name in self.types:
            status = self.ask("volume_type", "DELETE", "/types/{id}", self.types[name])[1]
            if status == 202:
                del self.types[name]

    @rule(name=TYPES, spec=st.sampled_from(["k", "trio2o:Pod2:k", "trio2o:Pod1:k"]), value=VALUES)
    def specify(self, name: str, spec: str, value: str) -> None:
        if name in self.types and spec != "k":
            body = {"extra_specs": {spec: value}}
            self.ask("volume_type", "POST", "/types/{id}/extra_specs", self.types[name], body)

    @rule(name=TYPES, provider=st.sampled_from(["luks", "plain"]))
    def encrypt(self, name: str, provider: str) -> None:
        if name in self.types:
            body = {"encryption": {"provider": provider, "key_size": 256}}
            self.ask("volume_type", "POST", "/types/{id}/encryption", self.types[name], body)

    @rule(name=TYPES, project=st.sampled_from(["p", "q"]))
    def allow(self, name: str, project: str) -> None:
        if name in self.types:
            body = {"addProjectAccess": {"project": project}}
            pod = self.world.cinder(1).named("types", name)
            if pod and not pod["is_public"] and project not in pod["projects"]:
                self.ask("volume_type", "POST", "/types/{id}/action", self.types[name], body)

    @rule(name=TYPES, qos=st.sampled_from(["fast", "slow"]), value=VALUES)
    def qualify(self, name: str, qos: str, value: str) -> None:
        if qos not in self.qos:
            wish = {"qos_specs": {"name": qos, "consumer": "both", "iops": value}}
            key, status = self.ask("qos_spec", "POST", "/qos-specs", body=wish)
            if status == 200:
                self.qos[qos] = key
        elif name in self.types:
            path = "/qos-specs/{id}/associate?vol_type_id={type}"
            have = [self.world.cinder(n).named("qos-specs", qos) for n in (1, 2)]
            bottoms = {self.world.id_in("volume_type", self.types[name], pod) for pod in PODS}
            if not any(one and bottoms & set(one["types"]) for one in have):
                self.ask("qos_spec", "GET", path, self.qos[qos], named=self.types[name])

    @rule(name=TYPES, project=st.sampled_from(["p", "q"]))
    def choose(self, name: str, project: str) -> None:
        if name in self.types:
            body = {"default_type": {"volume_type": "{type}"}}
            path = f"/default-types/{project}"
            self.ask("default_type", "PUT", path, project, body, named=self.types[name])

    @rule(number=st.sampled_from((1, 2)), down=st.booleans())
    def go(self, number: int, down: bool) -> None:
        self.world.cinder(number).down = down

    @rule(name=TYPES, number=st.sampled_from((1, 2)))
    def meddle(self, name: str, number: int) -> None:
        found = self.world.cinder(number).named("types", name)
        if found is not None:
            found["extra_specs"]["meddled"] = "1"

    @rule()
    def look(self) -> None:
        self.world.run()

    @invariant()
    def one_name_is_one_type(self) -> None:
        for cinder in self.world.cinders.values():
            names = [one["name"] for one in cinder.things["types"].values()]
            assert len(names) == len(set(names))

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        for number in (1, 2):
            self.world.cinder(number).down = False
        for _ in range(4):
            self.world.run()
        self.world.changes()
        self.world.run()
        assert not self.world.changes()
        reported = self.world.problems()
        if not reported:
            one, two = (self.shown(number) for number in (1, 2))
            assert one == two

    def shown(self, number: int) -> Any:
        """What a pod has, by names."""
        cinder = self.world.cinder(number)
        names = {id: one["name"] for id, one in cinder.things["types"].items()}
        shown: dict[str, Any] = {}
        for one in cinder.things["types"].values():
            kept: dict[str, Any] = {"is_public": one["is_public"]}
            kept["encryption"] = {k: v for k, v in one["encryption"].items() if v is not None}
            kept["extra_specs"] = to_top(one["extra_specs"])
            kept["projects"] = sorted(one["projects"])
            shown[one["name"]] = json.dumps(kept, sort_keys=True)
        for one in cinder.things["qos-specs"].values():
            types = sorted(names[id] for id in one["types"])
            shown[f"qos {one['name']}"] = (one["consumer"], one["specs"], types)
        shown["defaults"] = {p: names[id] for p, id in cinder.defaults.items()}
        return shown


TestMachine = Machine.TestCase
TestMachine.settings = settings(deadline=None, max_examples=30, stateful_step_count=20)


def test_a_change_of_qos_specs_that_was_being_tried_is_found_out() -> None:
    world = World()
    world.run()
    body = {"qos_specs": {"name": "fast"}}
    key, status = world.change("qos_spec", "POST", "/qos-specs", body=body)
    assert status == 200
    set_pending(world.connection, "qos_spec", key, PODS[0].pod_id)
    world.cinder(1).things["qos-specs"][key]["specs"] = {"iops": "1"}
    world.run()
    (found,) = world.cinder(2).things["qos-specs"].values()
    assert found["specs"] == {"iops": "1"}
