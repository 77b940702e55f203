"""Pods that are silent, misplaced or odd cost the others nothing."""

import pytest
from attrs import evolve
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from test_pods import ONE, TOP, World, fail
from twisted.internet.defer import Deferred

from trio2o.domain.errors import PodTimeout, PodUnavailable, Unavailable
from trio2o.domain.versions import Version
from trio2o.message import Answer, Call
from trio2o.pods import Target
from trio2o.store.pods import remove_pod
from trio2o.upstream import Broken


@pytest.fixture
def world() -> World:
    return World()


class Silent(Deferred[bytes]):
    """The body of an answer that the test ends."""

    length = None

    async def read(self) -> bytes:
        return await self if not self.called else b""

    def abort(self, why: Exception) -> None:
        """It is not going to be."""


def test_a_silent_pod_holds_up_the_look_at_no_other(world: World) -> None:
    body = Silent()
    world.pool.says["http://one:8774"] = lambda call: Answer(200, (), body)
    world.says("http://two", ("v2.1", "2.1", "2.50"))
    looking = Deferred.fromCoroutine(world.pods.refresh())
    assert not looking.called
    assert world.pods.offered("compute").most == Version(2, 50)
    body.callback(b'{"versions": [{"id": "v2.1", "min_version": "2.1", "version": "2.40"}]}')
    result_of(looking)
    assert world.pods.offered("compute").most == Version(2, 40)


def test_a_pod_that_is_removed_while_it_is_looked_at_is_gone(world: World) -> None:
    body = Silent()
    world.pool.says["http://one:8774"] = lambda call: Answer(200, (), body)
    looking = Deferred.fromCoroutine(world.pods.refresh())
    remove_pod(world.connection, "id-1", "2026")
    result_of(world.pods.reload())
    body.callback(b'{"versions": [{"id": "v2.1", "min_version": "2.1", "version": "2.2"}]}')
    result_of(looking)
    assert [pod.pod_name for pod in world.pods.serving("compute")] == ["Pod2"]
    assert world.pods.offered("compute").most == Version(2, 96)


@pytest.mark.parametrize("error", [ValueError("odd"), AssertionError(), OSError("no")])
def test_an_error_nobody_thought_of_spoils_the_look_at_no_other(
    world: World, error: Exception
) -> None:
    world.pool.says["http://one:8774"] = lambda call: error
    world.says("http://two", ("v2.1", "2.1", "2.50"))
    world.refresh()
    assert world.pods.offered("compute").most == Version(2, 50)


@pytest.mark.parametrize("status", [201, 301, 401, 404, 500])
def test_a_document_with_another_status_says_nothing(world: World, status: int) -> None:
    world.says("http://one:8774", ("v2.1", "2.1", "2.50"), status=status)
    world.refresh()
    assert world.pods.offered("compute").most == Version(2, 96)


@pytest.mark.parametrize("url", ["http://[", "http://[x]/v2.1", "http://[::1"])
def test_an_endpoint_that_is_no_url_spoils_no_other(world: World, url: str) -> None:
    world.catalog.urls["Pod1", "compute"] = url
    world.says("http://two", ("v2.1", "2.1", "2.50"))
    world.refresh()
    assert world.pods.offered("compute").most == Version(2, 50)
    with pytest.raises(PodUnavailable):
        world.send(world.one)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=4))
def test_each_pods_health_is_its_own(failures: list[int]) -> None:
    pods = [
        evolve(ONE, pod_id=f"pod-{n}", pod_name=f"P{n}", az_name=f"az{n}")
        for n in range(len(failures))
    ]
    world = World(TOP, *pods)
    world.catalog.urls = {(pod.pod_name, "compute"): f"http://{pod.pod_name}" for pod in pods}
    result_of(world.pods.reload())
    for pod, times in zip(pods, failures, strict=True):
        fail(world, f"http://{pod.pod_name}", times)
    down = [world.pods.is_down(pod, "compute") for pod in pods]
    assert down == [times >= 5 for times in failures]
    said = [world.pods.health(pod)["compute"] for pod in pods]
    assert said == ["down" if times else "up" for times in failures]


def test_while_the_catalog_was_never_read_each_look_tries_to_read_it(world: World) -> None:
    world.catalog.loaded = False
    with pytest.raises(Unavailable):
        world.pods.serving("compute")
    world.says("http://two", ("v2.1", "2.1", "2.50"))
    result_of(world.pods.look_at_the_down())
    assert world.pods.offered("compute").most == Version(2, 50)


def test_who_was_waited_for_in_vain_counts_as_down_until_it_answers_again(world: World) -> None:
    call = Call("GET", b"/servers")

    def late(call: Call) -> Exception:
        world.clock.advance(5)
        return Broken("no answer in time")

    world.pool.says["http://one:8774"] = late
    with pytest.raises(PodTimeout):
        result_of(
            world.pods.send(world.one, Target("compute", "p"), call, world.clock.seconds() + 5)
        )
    assert world.pods.is_down(world.one, "compute")
    assert not world.pods.is_down(world.two, "compute")
    result_of(world.pods.look_at_the_down())
    assert world.pods.is_down(world.one, "compute")
    world.says("http://one:8774", ("v2.1", "2.1", "2.50"))
    result_of(world.pods.look_at_the_down())
    assert not world.pods.is_down(world.one, "compute")


def test_who_breaks_off_at_once_is_not_late(world: World) -> None:
    world.pool.says["http://one:8774"] = lambda call: Broken("the connection was lost")
    with pytest.raises(PodTimeout):
        result_of(
            world.pods.send(
                world.one, Target("compute", "p"), Call("GET", b"/"), world.clock.seconds() + 5
            )
        )
    assert not world.pods.is_down(world.one, "compute")


def test_a_pod_that_refuses_a_version_is_asked_at_once_what_it_speaks(world: World) -> None:
    body = b'{"versions": [{"id": "v2.1", "min_version": "2.1", "version": "2.60"}]}'
    world.pool.says["http://one:8774"] = lambda call: (
        Answer(200, (), body) if call.path == b"/" else Answer(406)
    )
    target = Target("compute", "p")
    sent = world.pods.send(world.one, target, Call("GET", b"/servers"), world.clock.seconds() + 5)
    assert result_of(sent).status == 406
    assert world.pods.offered("compute").most == Version(2, 60)
