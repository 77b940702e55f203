"""What pods have room for: asked as ourselves, briefly kept; who cannot be asked is unknown."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

import pytest
from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from trio2o.domain.errors import PodTimeout, PodUnavailable, Unavailable
from trio2o.domain.values import ACTIVE, Pod
from trio2o.message import Answer, Call, header
from trio2o.pods import Capacity, Target
from trio2o.pods._capacity import KEPT, Pool

ONE = Pod("id-1", 1, "Pod1", "az1", "", "", ACTIVE, "2026")
TWO = Pod("id-2", 2, "Pod2", "az2", "", "", ACTIVE, "2026")


class World:
    """Pods of which each says one thing; `gate` holds the answers back."""

    def __init__(self) -> None:
        self.clock, self.sent = Clock(), list[tuple[str, str, Call, float]]()
        self.says: dict[str, Any] = {}
        self.gate: Deferred[None] | None = None
        self.refused: Exception | None = None
        self.capacity = Capacity(self.clock, self, self.token, 3.0)  # type: ignore[arg-type]

    def serving(self, service: str) -> tuple[Pod, ...]:
        return (ONE, TWO)

    async def token(self) -> str:
        if self.refused:
            raise self.refused
        return "own"

    async def send(
        self, pod: Pod, target: Target, call: Call, deadline: float, *, hurried: bool
    ) -> Answer:
        assert hurried  # what is late here does not count as down
        self.sent.append((pod.pod_name, target.service, call, deadline))
        if self.gate is not None:
            await self.gate
        said = self.says.get(pod.pod_name, 404)
        if isinstance(said, Exception):
            raise said
        if isinstance(said, int):
            return Answer(said, (), b'{"error": {}}')
        return Answer(200, (), said if isinstance(said, bytes) else json.dumps(said).encode())


@pytest.fixture
def world() -> World:
    return World()


UNKNOWN: list[Any] = [
    PodUnavailable("Pod1", "away"),
    PodTimeout("Pod1", "late"),
    401,
    404,
    406,
    500,
    503,
    b"no json",
    b"[]",
    b"",
]


def questions(capacity: Capacity) -> list[Callable[[], Any]]:
    return [
        lambda: capacity.has_candidates(ONE, [("resources", "VCPU:1")]),
        lambda: capacity.has_storage(ONE, 5),
        lambda: capacity.free_memory(ONE),
        lambda: capacity.free_storage(ONE),
        lambda: capacity.flavor("1"),
    ]


@pytest.mark.parametrize("said", UNKNOWN, ids=repr)
@pytest.mark.parametrize("which", range(5))
def test_what_cannot_be_asked_is_not_known(world: World, said: Any, which: int) -> None:
    world.says = {"Pod1": said, "Pod2": said}
    assert result_of(questions(world.capacity)[which]()) is None


def test_without_a_token_of_ours_nothing_is_known(world: World) -> None:
    world.refused = Unavailable("the identity service is away")
    assert [result_of(ask()) for ask in questions(world.capacity)] == [None] * 5
    assert world.sent == []


def test_placement_is_asked_for_one_candidate_as_ourselves_and_soon(world: World) -> None:
    world.clock.advance(100)
    world.says["Pod1"] = {"allocation_requests": [{}], "provider_summaries": {}}
    query = [("resources", "VCPU:1,MEMORY_MB:512"), ("required", "!X")]
    assert result_of(world.capacity.has_candidates(ONE, query)) is True
    ((name, service, call, deadline),) = world.sent
    assert (name, service, call.method, call.path, deadline) == (
        "Pod1",
        "placement",
        "GET",
        b"/allocation_candidates",
        103.0,
    )
    assert parse_qsl(call.query.decode()) == [*query, ("limit", "1")]
    assert header(call.headers, b"X-Auth-Token") == b"own"
    assert header(call.headers, b"OpenStack-API-Version") == b"placement 1.33"


@pytest.mark.parametrize(
    ("zone", "narrowed"),
    [
        ("east", ["in:u1,u2"]),
        ("nova", ["!in:u1,u2,u3"]),  # Nova's default: hosts that are in no AZ's aggregate
        ("", []),
    ],
)
def test_room_in_an_az_is_that_of_the_hosts_of_its_aggregates(
    world: World, zone: str, narrowed: list[str]
) -> None:
    rows = [("u1", "east"), ("u2", "east"), ("u3", "west"), ("u4", None)]
    listed = [{"uuid": uuid, "availability_zone": named} for uuid, named in rows]
    world.says["Pod1"] = {"aggregates": listed, "allocation_requests": [{}]}
    for _ in range(2):
        ask = world.capacity.has_candidates(ONE, [("resources", "VCPU:1")], zone)
        assert result_of(ask) is True
        query = parse_qsl(world.sent[-1][2].query.decode())
        assert [value for name, value in query if name == "member_of"] == narrowed
    paths = [call.path for _, _, call, _ in world.sent]
    assert paths.count(b"/os-aggregates") == (1 if zone else 0)


def test_no_candidate_is_no_room_nor_is_what_placement_has_never_heard_of(world: World) -> None:
    ask = questions(world.capacity)[0]
    world.says["Pod1"] = {"allocation_requests": []}
    assert result_of(ask()) is False
    world.says["Pod1"] = 400
    assert result_of(ask()) is False


def test_a_flavor_is_that_of_the_first_pod_that_has_it(world: World) -> None:
    world.says = {"Pod1": 404, "Pod2": {"flavor": {"id": "1", "extra_specs": {"a": "b"}}}}
    assert result_of(world.capacity.flavor("1")) == {"id": "1", "extra_specs": {"a": "b"}}
    assert [name for name, *_ in world.sent] == ["Pod1", "Pod2"]
    assert header(world.sent[0][2].headers, b"OpenStack-API-Version") == b"compute 2.61"


def test_answers_are_kept_for_a_while_and_those_under_way_are_shared(world: World) -> None:
    told = {"hypervisor_statistics": {"memory_mb": 1000, "free_ram_mb": 250}}
    world.says["Pod1"], world.gate = told, Deferred()
    running = [Deferred.fromCoroutine(world.capacity.free_memory(ONE)) for _ in range(3)]
    world.gate.callback(None)
    assert [result_of(one) for one in running] == [0.25] * 3
    assert result_of(world.capacity.free_memory(ONE)) == 0.25
    assert len(world.sent) == 1
    world.clock.advance(KEPT)
    assert result_of(world.capacity.free_memory(ONE)) == 0.25
    assert len(world.sent) == 2


def pool(**capabilities: Any) -> dict[str, Any]:
    return {"name": "p", "capabilities": capabilities}


def test_a_volume_fits_where_one_pool_takes_it(world: World) -> None:
    pools = [
        pool(total_capacity_gb=10, free_capacity_gb=2),
        pool(total_capacity_gb=10, free_capacity_gb=6),
    ]
    world.says["Pod1"] = {"pools": pools}
    assert result_of(world.capacity.has_storage(ONE, 6)) is True
    assert result_of(world.capacity.has_storage(ONE, 7)) is False
    assert result_of(world.capacity.free_storage(ONE)) == 0.4
    assert len(world.sent) == 1
    result_of(world.capacity.has_storage(ONE, 6, "gold"))
    assert parse_qsl(world.sent[1][2].query.decode())[-1] == ("volume_type", "gold")


@pytest.mark.parametrize("free", ["infinite", "unknown", None])
def test_a_pool_that_tells_no_figure_takes_anything(free: Any) -> None:
    assert Pool.of({"total_capacity_gb": 10, "free_capacity_gb": free}).takes(10**9)


def test_a_reserve_is_not_free_and_a_thin_pool_promises_more_than_it_has() -> None:
    thick = {"total_capacity_gb": 100, "free_capacity_gb": 50, "reserved_percentage": 10}
    assert Pool.of(thick).free == 40
    thin = thick | {
        "thin_provisioning_support": True,
        "max_over_subscription_ratio": "2.0",
        "provisioned_capacity_gb": 150,
    }
    assert Pool.of(thin).free == 30  # 90 twice, of which 150 are promised


NUMBER = st.none() | st.floats() | st.integers() | st.text() | st.booleans()


@given(
    st.dictionaries(
        st.sampled_from(
            """total_capacity_gb free_capacity_gb reserved_percentage provisioned_capacity_gb
            max_over_subscription_ratio thin_provisioning_support""".split()  # noqa: SIM905
        ),
        NUMBER,
    )
)
def test_a_pool_of_nonsense_is_read_all_the_same(told: dict[str, Any]) -> None:
    assert Pool.of(told).takes(1) in (True, False)
