"""Pods in memory: which serve, which versions they share, their health, and sending to them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa
from attrs import evolve
from helpers import result_of
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock

from trio2o.domain.errors import PodTimeout, PodUnavailable, Unavailable
from trio2o.domain.values import Binding, Pod, Zone
from trio2o.domain.versions import Range, Version
from trio2o.identity import KeystoneUnavailable
from trio2o.message import Aborted, Answer, Call
from trio2o.pods import Pods, Target
from trio2o.settings import ImagesSettings
from trio2o.store._schema import metadata
from trio2o.store.bindings import bind
from trio2o.store.pods import add_pod
from trio2o.upstream import Breaker, Broken, Busy, Origin, Unreachable

ONE = Pod("id-1", 0, "Pod1", "az1", "nova", "", "active", "2026")
TWO = evolve(ONE, pod_id="id-2", pod_name="Pod2", az_name="az2")
TOP = evolve(ONE, pod_id="id-0", pod_name="RegionOne", az_name="")
OWN = {
    "compute": Range(Version(2, 1), Version(2, 96)),
    "volume": Range(Version(3, 0), Version(3, 70)),
}
URLS = {
    ("Pod1", "compute"): "http://one:8774/v2.1",
    ("Pod1", "volume"): "http://one:8776/v3/%(project_id)s",
    ("Pod2", "compute"): "http://two/compute",
    ("Central", "image"): "http://glance:9292",
}
Say = Callable[[Call], Answer | Exception]


class Pool:
    """Origins that answer what `says` has for their names, and real breakers."""

    def __init__(self, clock: Clock) -> None:
        self.clock, self.breakers = clock, dict[Origin, Breaker]()
        self.says: dict[str, Say] = {}
        self.sent: list[tuple[str, Call, float, bool]] = []

    def breaker(self, origin: Origin) -> Breaker:
        made = Breaker(self.clock.seconds, jitter=lambda: 0.5)
        return self.breakers.setdefault(origin, made)

    async def send(
        self, call: Call, origin: Origin, deadline: float, *, probe: bool = False, share: str = ""
    ) -> Answer:
        self.sent.append((str(origin), call, deadline, probe))
        found = self.says.get(str(origin), lambda call: Answer(404))(call)
        if isinstance(found, BaseException):
            raise found
        return found


class Catalog:
    loaded = True

    def __init__(self) -> None:
        self.urls, self.away, self.asked = dict(URLS), False, set[str]()

    async def refresh(self) -> None:
        if self.away:
            raise KeystoneUnavailable("away")

    def url(self, region: str, service: str, interface: str) -> str | None:
        self.asked.add(interface)
        return self.urls.get((region, service))


class World:
    def __init__(self, *pods: Pod, images: str = "") -> None:
        self.clock, self.catalog = Clock(), Catalog()
        self.clock.advance(100.0)
        self.pool = Pool(self.clock)
        self.connection = sa.create_engine("sqlite://").connect()
        metadata.create_all(self.connection)
        for pod in pods or (TOP, ONE, TWO):
            add_pod(self.connection, pod)
        self.pods = Pods(
            self.clock,
            self.pool,  # type: ignore[arg-type]
            self.catalog,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            "internal",
            OWN,
            ImagesSettings(url=images),
        )
        result_of(self.pods.reload())
        self.one, self.two = (self.pods.get(id) for id in ("id-1", "id-2"))

    async def read(self, query: Callable[[sa.Connection], Any]) -> Any:
        return query(self.connection)

    def says(self, origin: str, *entries: tuple[str, str, str], status: int = 200) -> None:
        versions = [{"id": i, "min_version": least, "version": most} for i, least, most in entries]
        body = json.dumps({"versions": versions}).encode()
        self.pool.says[origin] = lambda call: Answer(status, (), body)

    def refresh(self) -> None:
        result_of(self.pods.refresh())

    def send(self, pod: Any = None, service: str = "compute", **how: Any) -> Answer:
        call = Call("GET", b"/servers", b"a=1")
        target = Target(service, "p1", how.pop("with_project", False))
        return result_of(self.pods.send(pod or self.one, target, call, 160.0, **how))


@pytest.fixture
def world() -> World:
    return World()


def test_the_top_region_is_no_pod(world: World) -> None:
    assert world.pods.top and world.pods.top.pod_name == "RegionOne"
    assert [pod.pod_name for pod in world.pods.all] == ["Pod1", "Pod2"]
    assert world.pods.get("id-0") is None and world.pods.get("id-9") is None


def test_pods_serve_what_the_catalog_has_for_them(world: World) -> None:
    assert [pod.pod_name for pod in world.pods.serving("compute")] == ["Pod1", "Pod2"]
    assert [pod.pod_name for pod in world.pods.serving("volume")] == ["Pod1"]
    assert world.pods.serving("network") == ()
    assert world.catalog.asked == {"internal"}


def test_an_endpoint_that_is_not_there_makes_the_pod_unavailable(world: World) -> None:
    with pytest.raises(PodUnavailable) as caught:
        world.pods.endpoint(world.two, "volume")  # type: ignore[arg-type]
    assert caught.value.why == "no volume endpoint in the catalog"
    assert caught.value.pod == "Pod2"


def test_a_reload_shows_what_was_changed_in_the_store(world: World) -> None:
    add_pod(world.connection, evolve(ONE, pod_id="id-3", pod_name="Pod3", az_name="az3"))
    world.catalog.urls["Pod3", "compute"] = "http://three"
    bound = bind(world.connection, Binding("b1", "p1", "id-3", "az3", "2026"))
    assert world.pods.get("id-3") is None and world.pods.bindings("p1") == {}
    result_of(world.pods.reload())
    assert [pod.pod_name for pod in world.pods.serving("compute")] == ["Pod1", "Pod2", "Pod3"]
    assert (world.pods.bindings("p1"), world.pods.bindings("p2")) == ({"az3": bound}, {})
    moved = evolve(bound, id="b2", pod_id="id-2")
    world.pods.note(moved)
    assert world.pods.bindings("p1") == {"az3": moved}


def test_an_az_has_all_pods_that_name_it(world: World) -> None:
    zones = (Zone("az9", "a"), Zone("az2", "b"))
    add_pod(world.connection, evolve(ONE, pod_id="id-3", pod_name="Pod3", zones=zones))
    result_of(world.pods.reload())
    named = {name: [pod.pod_name for pod in pods] for name, pods in world.pods.zones().items()}
    assert named == {"az1": ["Pod1"], "az2": ["Pod2", "Pod3"], "az9": ["Pod3"]}
    assert list(named) == sorted(named)


def test_a_refresh_shows_what_was_changed_in_the_catalog(world: World) -> None:
    world.catalog.urls["Pod2", "volume"] = "http://two/volume/v3"
    del world.catalog.urls["Pod1", "volume"]
    world.refresh()
    assert [pod.pod_name for pod in world.pods.serving("volume")] == ["Pod2"]


def test_a_refresh_goes_on_without_keystone(world: World) -> None:
    world.catalog.away = True
    world.says("http://one:8774", ("v2.1", "2.1", "2.60"))
    world.refresh()
    assert world.pods.offered("compute").most == Version(2, 60)


# versions


def test_what_is_offered_is_what_all_pods_share_and_we_know(world: World) -> None:
    assert world.pods.offered("compute") == OWN["compute"]
    world.says("http://one:8774", ("v2.0", "", ""), ("v2.1", "2.1", "2.90"))
    world.says("http://two", ("v2.1", "2.10", "2.200"))
    world.refresh()
    assert world.pods.offered("compute") == Range(Version(2, 10), Version(2, 90))
    assert world.pods.offered("volume") == OWN["volume"]


def test_a_document_is_asked_for_before_the_version_as_a_probe_in_time(world: World) -> None:
    world.refresh()
    sent = {(origin, call.path) for origin, call, _, _ in world.pool.sent}
    assert sent == {
        ("http://one:8774", b"/"),
        ("http://one:8776", b"/"),
        ("http://two", b"/compute/"),
    }
    assert all(probe and deadline == 110.0 for _, _, deadline, probe in world.pool.sent)


def test_a_range_is_that_of_the_version_that_we_speak(world: World) -> None:
    world.says("http://one:8776", ("v2.0", "2.0", "2.9"), ("v3.0", "3.0", "3.59"), status=300)
    world.refresh()
    assert world.pods.offered("volume") == Range(Version(3, 0), Version(3, 59))


def test_what_was_known_stays_when_a_pod_is_away(world: World) -> None:
    world.says("http://one:8774", ("v2.1", "2.1", "2.60"))
    world.refresh()
    world.pool.says["http://one:8774"] = lambda call: Unreachable("away")
    world.refresh()
    assert world.pods.offered("compute").most == Version(2, 60)


def test_a_pod_that_shares_nothing_is_left_out(world: World) -> None:
    world.says("http://one:8774", ("v2.1", "2.1", "2.60"))
    world.says("http://two", ("v2.1", "2.100", "2.200"))
    world.refresh()
    assert world.pods.offered("compute") == Range(Version(2, 1), Version(2, 60))
    assert world.pods.speaks(world.one, "compute", Version(2, 60))  # type: ignore[arg-type]
    assert not world.pods.speaks(world.two, "compute", Version(2, 60))  # type: ignore[arg-type]


def test_a_pod_of_which_nothing_is_known_may_speak_any_version(world: World) -> None:
    assert world.pods.speaks(world.one, "compute", Version(2, 999))  # type: ignore[arg-type]


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"versions": [{}]}', b'{"versions": 1}'])
def test_a_document_that_is_none_says_nothing(world: World, body: bytes) -> None:
    world.pool.says["http://one:8774"] = lambda call: Answer(200, (), body)
    world.refresh()
    assert world.pods.offered("compute") == OWN["compute"]


def test_a_version_that_is_no_number_says_nothing_and_spoils_no_other(world: World) -> None:
    world.says("http://one:8774", ("v2.1", "two", "2.60"))
    world.says("http://two", ("v2.1", "2.1", "2.50"))
    world.refresh()
    assert world.pods.offered("compute").most == Version(2, 50)


# health


def fail(world: World, origin: str, times: int) -> None:
    for _ in range(times):
        world.pool.breaker(Origin(origin.encode())).failed()


def test_health_tells_each_service_by_its_last_call(world: World) -> None:
    fail(world, "http://one:8774", 1)
    wanted = {"compute": "down", "volume": "up", "network": "absent", "placement": "absent"}
    assert world.pods.health(world.one) == wanted  # type: ignore[arg-type]


def test_a_pod_is_down_when_its_breaker_is_open_or_it_has_no_endpoint(world: World) -> None:
    fail(world, "http://one:8774", 4)
    assert not world.pods.is_down(world.one, "compute")  # type: ignore[arg-type]
    fail(world, "http://one:8774", 1)
    assert world.pods.is_down(world.one, "compute")  # type: ignore[arg-type]
    assert not world.pods.is_down(world.one, "volume")  # type: ignore[arg-type]
    assert world.pods.is_down(world.two, "volume")  # type: ignore[arg-type]


def test_only_the_down_are_looked_at_between_refreshes(world: World) -> None:
    result_of(world.pods.look_at_the_down())
    assert world.pool.sent == []
    fail(world, "http://two", 5)
    result_of(world.pods.look_at_the_down())
    assert [(origin, probe) for origin, _, _, probe in world.pool.sent] == [("http://two", True)]


# sending


def test_a_call_goes_below_the_endpoints_version(world: World) -> None:
    world.pool.says["http://one:8774"] = lambda call: Answer(200, (), b"yes")
    assert world.send().body == b"yes"
    world.send(world.two, with_project=True)
    world.send(service="volume")
    assert [(origin, call.path, call.query) for origin, call, _, _ in world.pool.sent] == [
        ("http://one:8774", b"/v2.1/servers", b"a=1"),
        ("http://two", b"/compute/v2.1/p1/servers", b"a=1"),
        ("http://one:8776", b"/v3/p1/servers", b"a=1"),
    ]
    assert {(deadline, probe) for _, _, deadline, probe in world.pool.sent} == {(160.0, False)}


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Unreachable("no route"), PodUnavailable),
        (Busy("too many"), PodUnavailable),
        (Broken("lost"), PodTimeout),
        (ValueError("odd"), PodTimeout),
    ],
)
def test_whether_something_was_done_in_a_pod_is_told_apart(
    world: World, error: Exception, kind: Any
) -> None:
    world.pool.says["http://one:8774"] = lambda call: error
    with pytest.raises(kind) as caught:
        world.send()
    assert type(caught.value) is kind and caught.value.pod == "Pod1"
    assert str(error) in caught.value.why


def test_a_cancelled_call_stays_cancelled(world: World) -> None:
    world.pool.says["http://one:8774"] = lambda call: CancelledError()
    with pytest.raises(CancelledError):
        world.send()


class Breaks:
    length = None

    async def read(self) -> bytes:
        raise Aborted("broke off")

    def abort(self, why: Exception) -> None:
        """Nothing to tell."""


def test_an_answer_that_breaks_off_is_no_answer_unless_it_is_streamed(world: World) -> None:
    body = Breaks()
    world.pool.says["http://one:8774"] = lambda call: Answer(200, (), body)
    with pytest.raises(PodTimeout) as caught:
        world.send()
    assert "broke off" in caught.value.why
    assert world.send(stream=True).body is body


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [("", "http://glance:9292", b"/v2/images"), ("http://g/x/v2", "http://g", b"/x/v2/images")],
)
def test_images_are_where_the_settings_or_the_catalog_say(
    url: str, origin: str, path: bytes
) -> None:
    world = World(images=url)
    result_of(world.pods.send_to_images(Call("GET", b"/v2/images"), 160.0, stream=False))
    ((to, call, _, _),) = world.pool.sent
    assert (to, call.path) == (origin, path)


def test_without_an_image_endpoint_images_are_unavailable(world: World) -> None:
    del world.catalog.urls["Central", "image"]
    with pytest.raises(PodUnavailable, match="The image service is unavailable"):
        world.pods.images()


def test_while_the_catalog_was_never_read_no_list_is_believed_to_be_empty(world: World) -> None:
    world.catalog.loaded = False
    with pytest.raises(Unavailable, match="identity service"):
        world.pods.serving("compute")
