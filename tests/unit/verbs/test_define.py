"""What must be the same everywhere is changed in every pod, or in none."""

import json

import pytest
from attrs import evolve
from helpers import result_of
from world import Ask, Pods, answer, context, pod

from trio2o.domain.errors import PodTimeout, PodUnavailable, Unavailable
from trio2o.faces.resources import FLAVOR
from trio2o.message import Answer, Call
from trio2o.verbs import Anywhere, Context, Define

PODS = (pod(1), pod(2), pod(3))


def made(call: Call) -> Answer:
    return answer(200, {"flavor": {"id": "f1"}})


def refuses(status: int) -> Ask:
    return lambda call: answer(status, {"said": status})


def silent(call: Call) -> Answer:
    if call.method == "POST":
        raise PodTimeout("Pod2", "no answer in time")
    return Answer(202)


def world(*asks: Ask) -> Context:
    return evolve(context(Pods(dict(zip(PODS, asks, strict=False)))), below=b"/flavors")


def define(where: Context, verb: object = Define(FLAVOR)) -> Answer:  # noqa: B008
    return result_of(verb(Call("POST", b"/", body=b"{}"), where))  # type: ignore[operator]


def seen(where: Context) -> list[str]:
    return [f"{name} {call.method} {call.path.decode()}" for name, call in where.pods.sent]  # type: ignore[attr-defined]


def test_every_pod_gets_it_and_the_first_answers() -> None:
    where = world(made, made, made)
    assert json.loads(define(where).body) == {"flavor": {"id": "f1"}}
    assert seen(where) == ["Pod1 POST /flavors", "Pod2 POST /flavors", "Pod3 POST /flavors"]


def test_the_first_pods_refusal_is_the_answer_and_no_other_is_asked() -> None:
    where = world(refuses(409), made)
    assert define(where).status == 409
    assert len(seen(where)) == 1


def test_a_later_pods_refusal_undoes_what_was_done() -> None:
    where = world(made, made, refuses(409))
    found = define(where)
    assert (found.status, json.loads(found.body)) == (409, {"said": 409})
    assert seen(where)[3:] == ["Pod1 DELETE /flavors/f1", "Pod2 DELETE /flavors/f1"]


def test_a_pod_that_does_not_answer_may_have_done_it_and_is_undone_too() -> None:
    where = world(made, silent, made)
    with pytest.raises(PodTimeout):
        define(where)
    assert seen(where) == [
        "Pod1 POST /flavors",
        "Pod2 POST /flavors",
        "Pod1 DELETE /flavors/f1",
        "Pod2 DELETE /flavors/f1",
    ]


def test_nothing_is_done_while_a_pod_is_down() -> None:
    where = world(made, made)
    where.pods.down = {PODS[1]}  # type: ignore[attr-defined]
    with pytest.raises(PodUnavailable):
        define(where)
    assert seen(where) == []


def test_without_a_pod_there_is_nothing_to_define() -> None:
    with pytest.raises(Unavailable):
        define(world())


def test_a_change_passes_over_a_pod_that_lacks_the_thing() -> None:
    where = world(refuses(404), made)
    assert define(where, Define()).status == 200
    assert define(world(refuses(404), refuses(404)), Define()).status == 404


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"flavor": 1}', b'{"flavor": {"id": 1}}'])
def test_an_answer_that_names_nothing_made_breaks_no_undoing(body: bytes) -> None:
    where = world(lambda call: evolve(answer(200), body=body), refuses(500))
    assert define(where).status == 500


def test_what_is_the_same_everywhere_is_shown_by_the_first_that_has_it() -> None:
    verb = Anywhere(FLAVOR)
    assert define(world(refuses(404), made), verb).status == 200
    assert define(world(refuses(500), made), verb).status == 200
    assert define(world(refuses(404), refuses(404)), verb).status == 404
    assert define(world(refuses(403), made), verb).status == 403
