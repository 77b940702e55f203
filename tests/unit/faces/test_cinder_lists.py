"""Each list of the volume face is that of one Cinder that has all pods' rows."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlencode

import pytest
from cinder_model import BRIEF, CUT, LINKS, PAGED_FROM, ROWS, Cinder, listed
from helpers import result_of
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from world import Pods, Routes, context, pod, route

from trio2o.domain.versions import Version
from trio2o.faces.volume import VolumeFace
from trio2o.faces.volume import _lists as lists
from trio2o.message import Answer, Call
from trio2o.verbs import UNAVAILABLE, Context, Surface, Verb

IDS = st.integers(0, 40).map(lambda n: f"{n:08x}-0000-4000-8000-000000000000")
ROWS_OF_PODS = st.dictionaries(
    IDS, st.tuples(st.integers(1, 4), st.sampled_from("abB"), st.integers(0, 9)), max_size=14
)
VERBS: dict[str, tuple[Verb, Verb]] = {
    "volumes": (lists.VOLUMES, lists.VOLUMES_DETAIL),
    "snapshots": (lists.SNAPSHOTS, lists.SNAPSHOTS_DETAIL),
    "backups": (lists.BACKUPS, lists.BACKUPS_DETAIL),
    "groups": (lists.GROUPS, lists.GROUPS_DETAIL),
    "consistencygroups": (lists.CONSISTENCY_GROUPS, lists.CONSISTENCY_GROUPS_DETAIL),
    "group_snapshots": (lists.GROUP_SNAPSHOTS, lists.GROUP_SNAPSHOTS_DETAIL),
    "cgsnapshots": (lists.CGSNAPSHOTS, lists.CGSNAPSHOTS_DETAIL),
    "messages": (lists.MESSAGES, lists.MESSAGES),
    "volume-transfers": (lists.TRANSFERS, lists.TRANSFERS_DETAIL),
    "os-volume-transfer": (lists.OLD_TRANSFERS, lists.OLD_TRANSFERS_DETAIL),
}
RESOURCES = {kind.rows: kind for kind in VolumeFace.resources.values()}
SORTS = (
    {},
    {"sort": "created_at:asc"},
    {"sort": "name"},
    {"sort": "name:asc,created_at"},
    {"sort": "id:asc"},
    {"sort_key": "name", "sort_dir": "asc"},
    {"sort_dir": "asc"},
    {"sort": "name:up"},
)


def row(id: str, moment: int, name: str) -> dict[str, Any]:
    created = f"2026-01-0{moment}T00:00:00.000000"
    more = {"links": [], "volume_id": id, "group_type_id": "t", "metadata": {"x": id}}
    return {"id": id, "created_at": created, "name": name, **more}


class World:
    """The same rows in one Cinder, and spread over pods behind us."""

    def __init__(self, kind: str, owners: dict[str, Any], pods: int, minor: int, cap: int) -> None:
        rows = {id: row(id, *values[:2]) for id, values in owners.items()}
        self.kind, self.one = kind, Cinder(kind, list(rows.values()), minor)
        self.pods = {
            pod(n): Cinder(
                kind, [rows[id] for id, v in owners.items() if v[2] % pods == n], minor, cap
            )
            for n in range(pods)
        }
        resource = RESOURCES[ROWS.get(kind, kind)]
        known = [route(resource, r["id"], p) for p, c in self.pods.items() for r in c.rows]
        surface = Surface("volume", "http://top:1", "v3", resources=VolumeFace.resources)
        self.where: Context = replace(
            context(Pods(dict(self.pods)), Routes(*known)),
            surface=surface,
            version=Version(3, minor),
        )

    def ask(self, query: dict[str, str], detail: bool) -> tuple[Answer, Answer]:
        """What one Cinder says, and what we say."""
        path = f"/{self.kind}" + ("/detail" if detail and self.kind != "messages" else "")
        call = Call("GET", path.encode(), urlencode(query).encode())
        verb = VERBS[self.kind][detail]
        return self.one(call), result_of(verb(call, replace(self.where, below=path.encode())))


@settings(deadline=None, max_examples=200)
@given(st.data(), ROWS_OF_PODS, st.integers(1, 4), st.sampled_from((0, 28, 71)))
def test_a_page_is_that_of_one_cinder(
    data: st.DataObject, owners: dict[str, Any], pods: int, minor: int
) -> None:
    kind = data.draw(st.sampled_from(sorted(VERBS)))
    world = World(kind, owners, pods, minor, 1000)
    query = dict(data.draw(st.sampled_from(SORTS)))
    query |= data.draw(
        st.fixed_dictionaries(
            {},
            optional={
                "limit": st.sampled_from(("0", "1", "2", "5", "100", "-1", "x")),
                "offset": st.sampled_from(("0", "1", "3")),
                "marker": st.sampled_from(
                    [*sorted(owners), "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"]
                ),
                "with_count": st.sampled_from(("True", "False")),
            },
        )
    )
    if "transfer" in kind and query.get("limit") == "0":
        return  # Cinder links a whole list to a next page then; the link leads nowhere
    detail = data.draw(st.booleans())
    theirs, ours = world.ask(query, detail)
    assert ours.status == theirs.status
    if theirs.status == 200:
        assert listed(ours, kind) == listed(theirs, kind)


@settings(deadline=None, max_examples=100)
@given(
    st.data(), ROWS_OF_PODS, st.integers(1, 4), st.integers(1, 5), st.integers(1, 4), st.booleans()
)
def test_pages_put_together_are_the_list_though_pods_pages_are_small(
    data: st.DataObject, owners: dict[str, Any], pods: int, limit: int, cap: int, forgets: bool
) -> None:
    kind = data.draw(st.sampled_from(sorted(set(LINKS) - set(CUT))))
    world = World(kind, owners, pods, 71, cap)
    sort = data.draw(st.sampled_from(SORTS[:-1]))
    whole, _ = world.ask(dict(sort), True)
    found: list[Any] = []
    query = {**sort, "limit": str(limit)}
    for _ in range(50):
        _, page = world.ask(query, True)
        body = listed(page, kind)
        found += body[ROWS.get(kind, kind)]
        marker = body.get(LINKS[kind])
        if marker is None:
            break
        if forgets:
            world.where.surface.positions.clear()
        query["marker"] = marker
    assert found == listed(whole, kind)[ROWS.get(kind, kind)]


@settings(deadline=None)
@given(ROWS_OF_PODS, st.integers(1, 3), st.integers(0, 4), st.integers(0, 3), st.integers(1, 3))
def test_attachments_stand_in_their_pods_order_pod_after_pod(
    owners: dict[str, Any], pods: int, limit: int, offset: int, cap: int
) -> None:
    """Their rows do not tell when they were made."""
    world = World("attachments", owners, pods, 71, cap)
    each = [cinder.listed("attachments", [], True) for cinder in world.pods.values()]
    for cinder in world.pods.values():
        cinder.cap = 1000
    each = [cinder.listed("attachments", [], True) for cinder in world.pods.values()]
    whole = [shown for one in each for shown in one["attachments"]]
    call = Call("GET", b"/attachments/detail", f"limit={limit}&offset={offset}".encode())
    where = replace(world.where, below=b"/attachments/detail")
    page = result_of(lists.ATTACHMENTS_DETAIL(call, where))
    assert listed(page, "attachments") == {"attachments": whole[offset : offset + limit]}
    if whole:
        call = replace(call, query=f"marker={whole[0]['id']}".encode())
        page = result_of(lists.ATTACHMENTS_DETAIL(call, where))
        assert listed(page, "attachments") == {"attachments": whole[1:]}


def test_a_list_that_tells_no_links_is_read_to_its_end() -> None:
    owners = {f"{n:08x}-0000-4000-8000-000000000000": (1, "a", 0) for n in range(1005)}
    world = World("attachments", owners, 1, 71, 1000)
    call = Call("GET", b"/attachments", b"limit=10&offset=1000")
    where = replace(world.where, below=b"/attachments")
    page = result_of(lists.ATTACHMENTS(call, where))
    assert len(listed(page, "attachments")["attachments"]) == 5


def test_a_count_that_would_be_wrong_is_left_out() -> None:
    owners = {f"{n:08x}-0000-4000-8000-000000000000": (1, "a", n) for n in range(4)}
    world = World("volumes", owners, 2, 71, 1000)
    pods: Any = world.where.pods
    pods.down = {next(iter(world.pods))}
    _, page = world.ask({"with_count": "True"}, True)
    body = listed(page, "volumes")
    assert len(body["volumes"]) == 2
    assert "count" not in body
    assert dict(page.headers)[UNAVAILABLE] == b"Pod0"


@pytest.mark.parametrize("kind", sorted(BRIEF))
def test_a_brief_row_shows_what_cinder_shows(kind: str) -> None:
    owners = {"00000001-0000-4000-8000-000000000000": (1, "a", 0)}
    if kind == "attachments":
        return
    world = World(kind, owners, 1, 71, 1000)
    theirs, ours = world.ask({}, False)
    assert listed(ours, kind) == listed(theirs, kind)


def test_the_next_page_is_asked_for_as_the_client_asked() -> None:
    owners = {f"{n:08x}-0000-4000-8000-000000000000": (1, "a", n) for n in range(3)}
    world = World("volumes", owners, 2, 71, 1000)
    _, page = world.ask({"limit": "2", "sort": "name:asc", "all_tenants": "1"}, False)
    href = json.loads(page.body)["volumes_links"][0]["href"]
    assert dict(parse_qsl(href.partition("?")[2])) == {
        "limit": "2",
        "sort": "name:asc",
        "all_tenants": "1",
        "marker": "00000001-0000-4000-8000-000000000000",
    }
    assert href.startswith("http://top:1/v3/volumes?")


def test_before_pages_came_a_list_is_whole() -> None:
    for kind, minor in PAGED_FROM.items():
        if kind == "volume-transfers":
            continue
        owners = {f"{n:08x}-0000-4000-8000-000000000000": (n, "a", n) for n in range(1, 4)}
        world = World(kind, owners, 2, minor - 1, 1000)
        _, page = world.ask({"limit": "1"}, True)
        assert len(listed(page, kind)[kind]) == 3
