"""Pages over pods are, row by row, those of one Nova that holds all the servers."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from attrs import evolve
from helpers import result_of
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from nova_model import COLUMNS, Nova, Refused, Server
from world import Pods, Routes, answer, caller, context, pod, route

from trio2o.domain.errors import Fault, PodUnavailable, Unavailable
from trio2o.domain.versions import Version
from trio2o.faces.compute._lists import SERVERS, SERVERS_DETAIL
from trio2o.faces.resources import SERVER
from trio2o.message import Answer, Call

TOLD = [name for name in COLUMNS if name != "hostname"]
MOMENTS = [f"2026-01-0{day}T00:00:00Z" for day in range(1, 5)]
Query = list[tuple[str, str]]

SERVERS_DRAWN = st.builds(
    Server,
    uuid=st.uuids(version=4).map(str),
    created_at=st.sampled_from(MOMENTS),
    updated_at=st.sampled_from(MOMENTS),
    display_name=st.sampled_from([None, "", "a", "A", "b", "é", "E", "f", "vm_1", "vm1", "vmA"]),
    power_state=st.sampled_from([None, 0, 1, 4]),
    image_ref=st.sampled_from(["", "i1", "i2"]),
    hostname=st.sampled_from(["h1", "h2", "h3"]),
    status=st.sampled_from(["ACTIVE", "ERROR", "SHUTOFF"]),
    unscheduled=st.sampled_from([False, False, False, True]),
    deleted=st.sampled_from([False, False, False, True]),
)
CLOUDS = st.lists(
    st.tuples(SERVERS_DRAWN, st.integers(0, 3)), max_size=14, unique_by=lambda one: one[0].uuid
)
SORTS = st.lists(
    st.tuples(st.sampled_from([*TOLD, "uuid"]), st.sampled_from(["asc", "desc", None])),
    max_size=3,
    unique_by=lambda one: one[0],
)
FILTERS = st.sampled_from(
    [[], [], [], [("changes-since", MOMENTS[1])], [("status", "ACTIVE")], [("name", "a|v")]]
)


def sort_query(drawn: list[tuple[str, str | None]]) -> Query:
    """Directions are given for the first keys only: Nova pairs them by their places."""
    keys = [("sort_key", key) for key, _ in drawn]
    directions = []
    for _, direction in drawn:
        if direction is None:
            break
        directions.append(("sort_dir", direction))
    return [*keys, *directions]


class World:
    """The same servers as one Nova and as pods."""

    def __init__(self, cloud: list[tuple[Server, int]], pods: int, cap: int = 1000) -> None:
        self.servers = [server for server, _ in cloud]
        for server in self.servers:  # a build request cannot be deleted and kept
            server.unscheduled = server.unscheduled and not server.deleted
        self.one = Nova(self.servers)
        self.pods = {
            pod(n): Nova([server for server, where in cloud if where % pods == n], cap)
            for n in range(pods)
        }
        found = [
            route(SERVER, server.uuid, p, details=json.dumps({"created": server.created_at}))
            for p, nova in self.pods.items()
            for server in nova.servers
        ]
        self.where = context(Pods(dict(self.pods)), Routes(*found))

    def ask(self, query: Query, verb: Any = SERVERS_DETAIL, **more: Any) -> Answer:
        where = replace(self.where, below=b"/servers/detail", **more)
        call = Call("GET", b"/v2.1/servers/detail", urlencode(query).encode())
        found: Answer = result_of(verb(call, where))
        return found

    def forget(self) -> None:
        self.where.surface.positions.clear()

    def without(self, lost: set[int]) -> Nova:
        """One Nova that lacks the rows of these pods, but knows all markers."""
        rows = [s for p, nova in self.pods.items() if p.number not in lost for s in nova.servers]
        return Nova(rows, known=self.servers)

    def archive(self, server: Server) -> None:
        self.servers.remove(server)
        for nova in self.pods.values():
            if server in nova.servers:
                nova.servers.remove(server)


def told(found: Answer) -> tuple[list[str], dict[str, str] | None]:
    """The ids of a page, and the query of its next link."""
    assert found.status == 200
    body = json.loads(found.body)
    links = body.get("servers_links")
    query = dict(parse_qsl(urlsplit(links[0]["href"]).query)) if links else None
    return [row["id"] for row in body["servers"]], query


@settings(deadline=None, max_examples=120)
@given(CLOUDS, st.integers(1, 4), st.integers(1, 5), st.integers(1, 6), SORTS, FILTERS, st.data())
def test_every_page_is_that_of_one_nova_whatever_happens_between_pages(
    cloud: list[tuple[Server, int]],
    pods: int,
    limit: int,
    cap: int,
    sorts: list[tuple[str, str | None]],
    filters: Query,
    data: st.DataObject,
) -> None:
    world = World(cloud, pods, cap)
    query = [*sort_query(sorts), *filters, ("limit", str(limit))]
    marker = ""
    for _ in range(30):
        asked = [*query, *([("marker", marker)] if marker else [])]
        rows, more = told(world.one(Call("GET", b"/servers/detail", urlencode(asked).encode())))
        assert told(world.ask(asked)) == (rows, more)
        if not more:
            return
        marker = rows[-1]
        if data.draw(st.booleans(), "the memory is lost"):
            world.forget()
        # a build request that is deleted and still listed has come to another place; between where
        # its pod stood and the marker it is shown there, for no pod's own order is second-guessed
        lasting = [
            s for s in world.servers if not s.unscheduled or ("changes-since" not in dict(asked))
        ]
        if not lasting:
            continue
        for server in data.draw(
            st.lists(st.sampled_from(lasting), max_size=2, unique=True), "deleted"
        ):
            server.deleted, server.unscheduled = True, False
    raise AssertionError("the list has no end")


@settings(deadline=None, max_examples=60)
@given(CLOUDS, st.integers(1, 4), SORTS, st.integers(0, 5), st.integers(0, 20))
def test_any_id_is_a_marker_with_nothing_remembered(
    cloud: list[tuple[Server, int]],
    pods: int,
    sorts: list[tuple[str, str | None]],
    limit: int,
    which: int,
) -> None:
    world = World(cloud, pods)
    if not world.servers:
        return
    marker = world.servers[which % len(world.servers)].uuid
    asked = [*sort_query(sorts), ("marker", marker), ("limit", str(limit))]
    expected = told(world.one(Call("GET", b"/servers/detail", urlencode(asked).encode())))
    assert told(world.ask(asked)) == expected
    assert told(world.ask(asked, SERVERS))[0] == expected[0]


@settings(deadline=None, max_examples=60)
@given(CLOUDS, st.integers(2, 4), SORTS, FILTERS, st.sets(st.integers(0, 3)), st.data())
def test_a_pod_that_fails_takes_its_own_rows_with_it_and_no_others(
    cloud: list[tuple[Server, int]],
    pods: int,
    sorts: list[tuple[str, str | None]],
    filters: Query,
    failing: set[int],
    data: st.DataObject,
) -> None:
    world = World(cloud, pods)
    failing = {n for n in failing if n < pods}
    for p, nova in world.pods.items():
        if p.number in failing:
            how = data.draw(st.sampled_from(["down", "503", "cut off"]))
            if how == "down":
                world.where.pods.down.add(p)  # type: ignore[attr-defined]
            else:
                world.where.pods.answers[p] = failed(how)  # type: ignore[attr-defined]
            assert nova
    query = [*sort_query(sorts), *filters, ("limit", "3")]
    # no route tells whether a server had a host already when its pod went
    told_of = [
        server
        for p, nova in world.pods.items()
        for server in nova.servers
        if not (server.unscheduled and p.number in failing)
    ]
    if told_of and data.draw(st.booleans()):
        query.append(("marker", data.draw(st.sampled_from(told_of)).uuid))
    expected = told(
        world.without(failing)(Call("GET", b"/servers/detail", urlencode(query).encode()))
    )
    try:
        found = world.ask(query)
    except Fault as fault:
        assert isinstance(fault, Unavailable) and failing
        owner_fails = any(
            ("marker", server.uuid) in query
            for p, nova in world.pods.items()
            if p.number in failing
            for server in nova.servers
        )
        assert filters or len(failing) == pods or (sorts and owner_fails)
        return
    assert not (failing and filters)
    assert told(found) == expected
    named = dict(found.headers).get(b"X-Trio2o-Unavailable-Pods", b"").decode().split(", ")
    assert {name for name in named if name} == {f"Pod{n}" for n in failing}


def failed(how: str) -> Any:
    def ask(call: Call) -> Answer:
        if how == "503":
            return answer(503, {})
        raise PodUnavailable("Pod", "the connection was lost")

    return ask


@settings(deadline=None, max_examples=50)
@given(CLOUDS, st.integers(1, 4), st.integers(1, 4), st.sampled_from(["hostname", "vcpus"]))
def test_an_order_that_rows_do_not_tell_is_pod_after_pod_and_pages_are_the_list(
    cloud: list[tuple[Server, int]], pods: int, limit: int, key: str
) -> None:
    world = World(cloud, pods)
    query = [("sort_key", key), ("sort_dir", "asc")]
    whole, _ = told(world.ask(query))
    assert sorted(whole) == sorted(s.uuid for s in world.servers if not s.deleted)
    for p, nova in world.pods.items():
        own, _ = told(nova(Call("GET", b"/servers/detail", urlencode(query).encode())))
        assert [id for id in whole if id in own] == own, p
    for remembers in (True, False):
        seen: list[str] = []
        asked = [*query, ("limit", str(limit))]
        more: dict[str, str] | None = {}
        while more is not None:
            page, more = told(world.ask([*asked, *([("marker", seen[-1])] if seen else [])]))
            seen += page
            assert len(seen) <= len(whole), "the list has no end"
            if not remembers:
                world.forget()
        assert seen == whole


@settings(deadline=None, max_examples=40)
@given(CLOUDS, st.integers(2, 4), st.integers(1, 4), st.data())
def test_a_row_that_is_gone_for_good_is_a_marker_while_its_place_is_remembered(
    cloud: list[tuple[Server, int]], pods: int, limit: int, data: st.DataObject
) -> None:
    for server, _ in cloud:
        server.unscheduled = False
    world = World(cloud, pods)
    page, more = told(world.ask([("limit", str(limit))]))
    if more is None:
        return
    rest = told(world.ask([("marker", page[-1])]))[0]
    for server in list(world.servers):
        if server.uuid == page[-1] or (server.uuid in page and data.draw(st.booleans())):
            world.archive(server)
    assert told(world.ask([("marker", page[-1])]))[0] == rest
    world.forget()
    assert world.ask([("marker", page[-1])]).status == 400


@pytest.mark.parametrize(
    "query",
    [
        [("sort_key", "nonsense")],
        [("sort_dir", "up")],
        [("limit", "x")],
        [("limit", "-1")],
        [("marker", "nonsense")],
        [("marker", "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55")],
        [("sort_key", "uuid"), ("sort_dir", "asc"), ("sort_dir", "asc"), ("sort_dir", "asc")],
    ],
)
def test_what_nova_refuses_is_refused_in_its_words(query: Query) -> None:
    world = World([], 2)
    refused = world.one(Call("GET", b"/servers/detail", urlencode(query).encode()))
    assert refused.status == 400
    found = world.ask(query)
    assert (found.status, json.loads(found.body)) == (400, json.loads(refused.body))


def test_a_marker_that_only_an_admin_sees_is_looked_up_as_ourselves_and_not_shown() -> None:
    hidden = Server("0" * 8, MOMENTS[2], MOMENTS[2], "x", 1, "", "h", deleted=True)
    hidden.uuid = "00000000-0000-4000-8000-000000000000"
    shown = Server("1" * 8, MOMENTS[0], MOMENTS[0], "y", 1, "", "h")
    world = World([(hidden, 0), (shown, 1)], 2)
    world.where.routes.kept.clear()  # type: ignore[attr-defined]
    asked = [("marker", hidden.uuid)]
    assert told(world.ask(asked, caller=caller()))[0] == [shown.uuid]
    tokens = {dict(call.headers).get(b"X-Auth-Token") for _, call in world.where.pods.sent}  # type: ignore[attr-defined]
    assert b"our own" in tokens


@pytest.mark.parametrize(
    ("how", "filtered", "plain"),
    [("standard", False, True), ("omit", True, True), ("refuse", False, False)],
)
def test_operators_choose_what_a_list_without_a_pod_is(
    how: str, filtered: bool, plain: bool
) -> None:
    world = World([], 2)
    world.where.pods.down.add(next(iter(world.pods)))  # type: ignore[attr-defined]
    surface = evolve(world.where.surface, unavailable=how)

    def answered(query: Query) -> bool:
        try:
            return world.ask(query, surface=surface).status == 200
        except Unavailable:
            return False

    assert answered([("name", "x")]) is filtered
    assert answered([]) is plain
    assert answered([("limit", "5")]) is plain
    world.where.pods.down.update(world.pods)  # type: ignore[attr-defined]
    assert not answered([])


def version(text: str) -> Version:
    return Version.parse(text)


@pytest.mark.parametrize(
    ("query", "least", "keys"),
    [
        ("", "2.1", [("created", True), ("id", False)]),
        ("sort_key=display_name", "2.1", [("name", True), ("id", False)]),
        ("sort_key=uuid", "2.1", [("id", True)]),
        ("sort_key=vm_state&sort_key=user_id&sort_dir=desc", "2.1", None),
        ("sort_key=locked&sort_dir=asc", "2.72", [("created", True), ("", True), ("id", False)]),
        ("sort_key=locked&sort_dir=asc", "2.73", [("locked", False), ("id", False)]),
        ("sort_key=auto_disk_config", "2.1", [("OS-DCF:diskConfig", False), ("id", False)]),
        ("sort_key=progress", "2.1", [("", True), ("id", False)]),
        ("sort_key=vcpus&sort_key=host&sort_dir=asc", "2.1", None),
    ],
)
def test_sort_keys_are_paired_as_nova_pairs_them(query: str, least: str, keys: Any) -> None:
    found = SERVERS_DETAIL.order.keys(parse_qsl(query), version(least))
    if keys is not None:
        assert list(found) == keys
    elif "vcpus" in query:
        assert list(found) == [("OS-EXT-SRV-ATTR:host", False), ("id", False)]
    else:
        state, user = ("OS-EXT-STS:vm_state", True), ("user_id", False)
        assert list(found) == [state, user, ("id", True)]


def test_the_model_refuses_what_nova_refuses() -> None:
    with pytest.raises(Refused):
        Nova([]).page([("sort_key", "x")])
