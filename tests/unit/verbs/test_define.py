"""What must be the same everywhere is changed in every pod, or in none."""

import json
from typing import Any

import pytest
from attrs import evolve
from helpers import result_of
from msgspec.structs import replace
from world import Ask, Pods, answer, context, pod

from trio2o.domain.errors import Fault, NotFound, PodTimeout, PodUnavailable, Unavailable
from trio2o.domain.values import Pod
from trio2o.faces.resources import FLAVOR
from trio2o.message import Answer, Call
from trio2o.verbs import Anywhere, Context, Define, Defined, Definitive, Everywhere

PODS = (pod(1), pod(2), pod(3))


def made(call: Call) -> Answer:
    return answer(200, {"flavor": {"id": "f1"}})


def refuses(status: int) -> Ask:
    return lambda call: answer(status, {"said": status})


def silent(call: Call) -> Answer:
    raise PodTimeout("Pod2", "no answer in time")


class Definitions:
    """What the verbs need of definitions; they are their own places."""

    tops = {"other": "top"}  # noqa: RUF012

    def __init__(self, pods: Pods, bottom: str, behind: tuple[str, ...]) -> None:
        self.pods, self.bottom, self.behind = pods, bottom, frozenset(behind)
        self.changed: tuple[Any, ...] = ()
        self.places = self

    async def change(self, key: str, attempt: Any, told: Any) -> tuple[Pod, Answer]:
        self.changed = (key, told)
        return PODS[0], await attempt(PODS[0], self.bottom)

    async def find(self, key: str) -> str | None:
        return key if key == "known" else None

    def up(self) -> tuple[Pod, ...]:
        return self.pods.all

    async def holders(self, key: str) -> list[tuple[Pod, str]]:
        return [(pod, self.bottom) for pod in self.up()]

    def ids_in(self, pod: Pod) -> dict[str, str]:
        return {"top": self.bottom}

    async def readers(self) -> list[tuple[Pod, frozenset[str]]]:
        return [(pod, self.behind) for pod in self.up()]


def world(*asks: Ask, key: str = "top", bottom: str = "top", behind: Any = ()) -> Context:
    pods = Pods(dict(zip(PODS, asks, strict=False)))
    found: Any = {"flavor": Definitions(pods, bottom, behind)}
    where = context(pods, definitions=found, params={"id": key})
    return replace(where, below=f"/flavors/{key}".encode())


def ask(where: Context, verb: Any, body: Any = None) -> Answer:
    data = b"{}" if body is None else json.dumps(body).encode()
    return result_of(verb(Call("POST", b"/", body=data), where))


def seen(where: Context) -> list[str]:
    return [f"{name} {call.method} {call.path.decode()}" for name, call in where.pods.sent]  # type: ignore[attr-defined]


def test_a_change_is_sent_under_the_id_that_the_pod_has() -> None:
    where = world(made, bottom="a b")
    assert ask(where, Define("flavor")).status == 200
    assert seen(where) == ["Pod1 POST /flavors/a%20b"]
    assert where.definitions["flavor"].changed == ("top", None)  # type: ignore[attr-defined]


def test_what_is_new_is_known_by_the_id_that_the_pod_answers() -> None:
    for asked, key in (("f1", "f1"), (None, "")):
        where = world(made, key="")
        ask(where, Define("flavor", makes=FLAVOR), {"flavor": {"id": asked}})
        told = where.definitions["flavor"].changed  # type: ignore[attr-defined]
        assert (told[0], told[1](made(Call("GET", b"/")))) == (key, "f1")
        for body in (b"", b"{", b"[]", b'{"flavor": 1}', b'{"flavor": {"id": 1}}'):
            with pytest.raises(Fault):
                told[1](replace(answer(200), body=body))


def test_it_is_shown_by_a_pod_that_has_it() -> None:
    assert ask(world(made, refuses(404)), Defined("flavor", FLAVOR)).status == 200
    assert ask(world(refuses(503), made), Defined("flavor", FLAVOR)).status == 200
    assert ask(world(refuses(404), refuses(404)), Defined("flavor", FLAVOR)).status == 404
    nobody = world(made)
    nobody.definitions["flavor"].holders = lambda key: _nothing()  # type: ignore[attr-defined]
    with pytest.raises(NotFound):
        ask(nobody, Defined("flavor", FLAVOR))
    known = replace(nobody, params={"id": "known"})
    with pytest.raises(Unavailable):
        ask(known, Defined("flavor", FLAVOR))


async def _nothing() -> list[Any]:
    return []


def test_a_list_is_that_of_one_pod_without_what_is_otherwise_there() -> None:
    rows = [{"id": "a"}, {"id": "b"}, {"id": "other"}]
    listed = answer(200, {"flavors": rows})
    whole = world(refuses(503), lambda call: listed)
    assert json.loads(ask(whole, Definitive("flavor", FLAVOR)).body) == {"flavors": rows}
    part = world(lambda call: listed, behind=("a", "top"))
    assert json.loads(ask(part, Definitive("flavor", FLAVOR)).body) == {"flavors": rows[1:2]}
    assert ask(world(refuses(400), made), Definitive("flavor", FLAVOR)).status == 400
    with pytest.raises(PodUnavailable):
        ask(world(refuses(503)), Definitive("flavor", FLAVOR))
    nowhere = ask(world(), Definitive("flavor", FLAVOR))
    assert (nowhere.status, json.loads(nowhere.body)) == (200, {"flavors": []})


def changes(where: Context) -> list[tuple[str, str, Any]]:
    """What pods were told: pod, method and body."""
    sent: Any = where.pods
    told = [(name, call) for name, call in sent.sent if call.method != "GET"]
    return [(name, call.method, json.loads(call.body)) for name, call in told]


def test_what_nobody_records_is_written_to_every_pod() -> None:
    where = world(made, made, made)
    assert json.loads(ask(where, Everywhere()).body) == {"flavor": {"id": "f1"}}
    assert [name for name, *_ in changes(where)] == ["Pod1", "Pod2", "Pod3"]


def test_the_first_pods_refusal_is_the_answer_and_no_other_is_told() -> None:
    where = world(refuses(409), made)
    assert ask(where, Everywhere()).status == 409
    assert [name for name, *_ in changes(where)] == ["Pod1"]


def quotas(**shown: int) -> Ask:
    """A pod that shows these and takes any."""
    told = {"quota_set": {"id": "p", **shown}}
    return lambda call: answer(200, told if call.method == "GET" else {})


def only_shows(say: Ask) -> Ask:
    return lambda call: answer(200, {}) if call.method == "GET" else say(call)


@pytest.mark.parametrize("later", [refuses(400), refuses(500), silent])
def test_what_a_later_pod_refuses_is_taken_back_from_those_before_it(later: Ask) -> None:
    asked = {"quota_set": {"cores": 1, "force": "True"}}
    where = world(quotas(cores=20, ram=5), quotas(cores=30), only_shows(later))
    call = Call("PUT", b"/", body=json.dumps(asked).encode())
    try:
        assert result_of(Everywhere()(call, where)).status in (400, 500)
    except PodTimeout:
        assert later is silent
    back = {"force": "True"}
    assert changes(where)[3:] == [
        ("Pod1", "PUT", {"quota_set": {"cores": 20, **back}}),
        ("Pod2", "PUT", {"quota_set": {"cores": 30, **back}}),
    ]


def test_what_was_deleted_before_a_later_pod_refused_is_there_again() -> None:
    where = world(quotas(cores=20, ram=5), only_shows(refuses(503)))
    assert result_of(Everywhere()(Call("DELETE", b"/", body=b"{}"), where)).status == 503
    assert changes(where)[2:] == [("Pod1", "PUT", {"quota_set": {"cores": 20, "ram": 5}})]


def test_a_pod_that_cannot_show_what_it_has_is_not_changed_nor_is_another() -> None:
    where = world(made, silent)
    with pytest.raises(PodTimeout):
        ask(where, Everywhere())
    assert changes(where) == []


def test_nothing_is_written_while_a_pod_is_down() -> None:
    where = world(made, made)
    where.pods.down = {PODS[1]}  # type: ignore[attr-defined]
    with pytest.raises(PodUnavailable):
        ask(where, Everywhere())
    assert seen(where) == []


def test_without_a_pod_there_is_nowhere_to_write() -> None:
    with pytest.raises(Unavailable):
        ask(world(), Everywhere())


def test_a_pod_that_lacks_the_thing_is_passed_over() -> None:
    assert ask(world(refuses(404), made), Everywhere()).status == 200
    assert ask(world(refuses(404), refuses(404)), Everywhere()).status == 404


def test_what_is_the_same_everywhere_is_shown_by_the_first_that_has_it() -> None:
    verb = Anywhere(FLAVOR)
    assert ask(world(refuses(404), made), verb).status == 200
    assert ask(world(refuses(500), made), verb).status == 200
    assert ask(world(refuses(404), refuses(404)), verb).status == 404
    assert ask(world(refuses(403), made), verb).status == 403


def listed(call: Call) -> Answer:
    links = [{"rel": "next", "href": "http://pod/v2.1/flavors?limit=1&marker=0badcafe"}]
    return answer(200, {"flavors": [{"id": "0badcafe"}], "flavors_links": links})


def test_a_marker_is_the_pods_own_id_on_the_way_there_and_the_tenants_on_the_way_back() -> None:
    where = world(listed, listed, bottom="0badcafe")
    resource = evolve(FLAVOR, mapped=("id",))
    tops = {"0badcafe": "top"}
    surface = evolve(where.surface, tops=tops, resources={"flavor": resource})
    where = replace(where, surface=surface)
    call = Call("GET", b"/v2.1/flavors", b"limit=1&marker=top")
    found = result_of(Definitive("flavor", resource)(call, where))
    ((_, sent),) = where.pods.sent  # type: ignore[attr-defined]
    assert sent.query == b"limit=1&marker=0badcafe"
    body = json.loads(found.body)
    assert body["flavors"] == [{"id": "top"}]
    assert body["flavors_links"][0]["href"].endswith("?limit=1&marker=top")


def test_a_call_about_a_definition_is_fitted_to_each_pod_and_its_answer_shown_as_the_tops() -> None:
    async def fit(call: Call, key: str, pod: Pod, where: Context) -> Call:
        return replace(call, query=f"{key}-in-{pod.pod_name}".encode())

    def shown(found: Answer) -> Answer:
        return replace(found, body=b"{}")

    where = world(listed, listed, bottom="0badcafe")
    found = result_of(Defined("flavor", FLAVOR, fit=fit, shown=shown)(Call("GET", b"/"), where))
    ((_, sent),) = where.pods.sent  # type: ignore[attr-defined]
    assert (sent.path, sent.query, found.body) == (b"/flavors/0badcafe", b"top-in-Pod1", b"{}")
