"""Lists over many pods are those of one cloud that has all their rows."""

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from attrs import evolve
from helpers import result_of
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from world import PROJECT, Pods, Routes, Table, answer, context, pod, route

from trio2o.domain.errors import BadRequest, Unavailable
from trio2o.faces.compute._lists import SERVERS, SERVERS_DETAIL
from trio2o.faces.resources import SERVER
from trio2o.message import Answer, Call
from trio2o.verbs import Context

Row = dict[str, Any]

IDS = st.integers(0, 300).map(lambda n: f"{n:08x}-0000-4000-8000-000000000000")
ROWS = st.dictionaries(IDS, st.tuples(st.integers(1, 5), st.integers(0, 3), st.integers(0, 9)))


def cloud_of(owners: dict[str, tuple[int, int, int]], pods: int, cap: int = 1000) -> Context:
    """Pods with these rows: id -> (moment, name, which pod)."""
    tables = {
        pod(n): Table(
            [row(id, *values[:2]) for id, values in owners.items() if values[2] % pods == n], cap
        )
        for n in range(pods)
    }
    found = [route(SERVER, r["id"], p) for p, table in tables.items() for r in table.rows]
    return context(Pods(dict(tables)), Routes(*found))


def row(id: str, moment: int, name: int) -> Row:
    created = f"2026-01-0{moment}T00:00:00Z"
    return {"id": id, "created": created, "name": f"n{name}", "links": [], "metadata": {}}


def rows_of(where: Context) -> list[Row]:
    return [row for table in where.pods.answers.values() for row in table.rows]  # type: ignore[attr-defined]


def ordered(rows: list[Row], key: str = "created", falls: bool = True) -> list[str]:
    """Ids in the order of one cloud: the id decides ties, rising."""
    by_id = sorted(rows, key=lambda row: row["id"])
    return [row["id"] for row in sorted(by_id, key=lambda row: row[key], reverse=falls)]


def ask(where: Context, query: str = "", verb: Any = SERVERS_DETAIL) -> Answer:
    call = Call("GET", b"/v2.1/servers/detail", query.encode())
    where = replace(where, below=b"/servers/detail")
    return result_of(verb(call, where))


def ids(found: Answer) -> list[str]:
    assert found.status == 200
    return [row["id"] for row in json.loads(found.body)["servers"]]


def walk(
    where: Context, query: str, between: Callable[[list[str]], None] = lambda seen: None
) -> Iterator[list[str]]:
    """The pages, by their own links."""
    for _ in range(500):
        found = ask(where, query)
        page = ids(found)
        yield page
        links = json.loads(found.body).get("servers_links")
        if not links:
            return
        assert links[0]["href"].startswith("http://top:1/v2.1/servers/detail?")
        query = urlsplit(links[0]["href"]).query
        between(page)
    raise AssertionError("the list has no end")


@given(ROWS, st.integers(1, 5))
def test_a_list_holds_each_row_once_in_the_order_of_one_cloud(
    owners: dict[str, tuple[int, int, int]], pods: int
) -> None:
    where = cloud_of(owners, pods)
    assert ids(ask(where)) == ordered(rows_of(where))
    assert ids(ask(where, verb=SERVERS)) == ordered(rows_of(where))


@settings(deadline=None)
@given(ROWS, st.integers(1, 4), st.integers(1, 7), st.integers(1, 5), st.booleans())
def test_pages_put_together_are_the_list(
    owners: dict[str, tuple[int, int, int]], pods: int, limit: int, cap: int, forgets: bool
) -> None:
    where = cloud_of(owners, pods, cap)
    pages = list(
        walk(
            where,
            f"limit={limit}",
            lambda seen: where.surface.positions.clear() if forgets else None,
        )
    )
    assert [id for page in pages for id in page] == ordered(rows_of(where))
    assert all(len(page) == limit for page in pages[:-1])


@settings(deadline=None)
@given(
    ROWS, st.integers(1, 4), st.integers(1, 7), st.sampled_from(["name", "created"]), st.booleans()
)
def test_pages_keep_a_sort_key_and_its_direction(
    owners: dict[str, tuple[int, int, int]], pods: int, limit: int, key: str, falls: bool
) -> None:
    where = cloud_of(owners, pods)
    sort = {"name": "display_name", "created": "created_at"}[key]
    query = f"sort_key={sort}&sort_dir={'desc' if falls else 'asc'}&limit={limit}"
    pages = list(walk(where, query))
    assert [id for page in pages for id in page] == ordered(rows_of(where), key, falls)


@settings(deadline=None)
@given(ROWS, st.integers(1, 4), st.integers(1, 5), st.randoms(use_true_random=False))
def test_rows_that_stay_are_listed_once_while_others_go(
    owners: dict[str, tuple[int, int, int]], pods: int, limit: int, chance: Any
) -> None:
    where = cloud_of(owners, pods)
    before = ordered(rows_of(where))

    def delete(page: list[str]) -> None:
        for table in where.pods.answers.values():  # type: ignore[attr-defined]
            table.rows = [r for r in table.rows if r["id"] == page[-1] or chance.random() > 0.2]

    seen = [id for page in walk(where, f"limit={limit}", delete) for id in page]
    stayed = {row["id"] for row in rows_of(where)}
    assert len(set(seen)) == len(seen)
    assert stayed <= set(seen)
    assert seen == [id for id in before if id in seen]


@given(ROWS, st.integers(2, 4))
def test_a_marker_that_was_just_deleted_is_still_a_place(
    owners: dict[str, tuple[int, int, int]], pods: int
) -> None:
    where = cloud_of(owners, pods)
    all_ids = ordered(rows_of(where))
    if len(all_ids) < 3:
        return
    page = ids(ask(where, "limit=2"))
    for table in where.pods.answers.values():  # type: ignore[attr-defined]
        table.rows = [row for row in table.rows if row["id"] != page[-1]]
    assert ids(ask(where, f"limit=1000&marker={page[-1]}")) == all_ids[2:]


@given(ROWS, st.integers(1, 4), st.integers(0, 9), st.integers(0, 9))
def test_limit_and_offset_cut_the_list(
    owners: dict[str, tuple[int, int, int]], pods: int, limit: int, offset: int
) -> None:
    where = cloud_of(owners, pods)
    query = f"limit={limit}&offset={offset}"
    found = ids(ask(where, query, evolve(SERVERS_DETAIL, offset=True)))
    assert found == ordered(rows_of(where))[offset : offset + limit]


@given(ROWS, st.integers(2, 4), st.sets(st.integers(0, 3), max_size=3))
def test_pods_that_are_down_are_named_and_the_others_listed(
    owners: dict[str, tuple[int, int, int]], pods: int, down: set[int]
) -> None:
    where = cloud_of(owners, pods)
    every = list(where.pods.serving("compute"))
    where.pods.down |= {p for p in every if p.number in down}  # type: ignore[attr-defined]
    lost = sorted(p.pod_name for p in where.pods.down)  # type: ignore[attr-defined]
    if len(lost) == pods:
        with pytest.raises(Unavailable):
            ask(where)
        return
    found = ask(where)
    up = [row for p, t in where.pods.answers.items() if p.pod_name not in lost for row in t.rows]  # type: ignore[attr-defined]
    assert ids(found) == ordered(up)
    named = dict(found.headers).get(b"X-Trio2o-Unavailable-Pods", b"").decode()
    assert sorted(name for name in named.split(", ") if name) == lost
    if lost:
        with pytest.raises(Unavailable):
            ask(where, "name=n1")
        assert ids(ask(where, f"project_id={PROJECT}")) == ordered(up)


def test_no_pod_is_handed_the_marker_of_another() -> None:
    where = cloud_of(
        {f"{n:08x}-0000-4000-8000-000000000000": (n % 5 + 1, 0, n) for n in range(40)}, 3
    )
    list(walk(where, "limit=3"))
    for name, call in where.pods.sent:  # type: ignore[attr-defined]
        marker = next(iter(call.query.decode().partition("marker=")[2].split("&")), "")
        own = where.pods.get(f"id-{name[-1]}")
        assert not marker or marker in {r["id"] for r in where.pods.answers[own].rows}  # type: ignore


def test_each_pod_is_asked_for_no_more_than_a_page() -> None:
    where = cloud_of({f"{n:08x}-0000-4000-8000-000000000000": (1, 0, n) for n in range(40)}, 2)
    ask(where, "limit=5")
    asked = [call.query for _, call in where.pods.sent]  # type: ignore[attr-defined]
    assert asked[:2] == [b"limit=5", b"limit=5"]


def test_a_brief_list_has_just_its_members_and_is_ordered_all_the_same() -> None:
    where = cloud_of({"0" * 8 + "-0000-4000-8000-000000000000": (1, 1, 0)}, 1)
    (shown,) = json.loads(ask(where, verb=SERVERS).body)["servers"]
    assert set(shown) == {"id", "name", "links"}


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "offset=one", "limit=%C2%B2"])
def test_a_number_that_is_none_is_refused_in_the_pods_own_words(query: str) -> None:
    where = cloud_of({}, 1)
    (one,) = where.pods.serving("compute")
    where.pods.answers[one] = lambda call: answer(400, {"badRequest": {"message": "no number"}})  # type: ignore[attr-defined]
    found = ask(where, query)
    assert (found.status, json.loads(found.body)) == (400, {"badRequest": {"message": "no number"}})


def test_an_unknown_marker_is_400() -> None:
    where = cloud_of({}, 2)
    assert ask(where, "marker=6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55").status == 400
    for one in where.pods.serving("compute"):
        where.pods.answers[one] = lambda call: answer(200, {"servers": []})  # type: ignore[attr-defined]
    with pytest.raises(BadRequest):
        ask(where, "marker=6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55")


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"servers": 1}', b'{"servers": [null]}', b'{"servers": [{"a": 1}]}']
)
def test_a_pod_that_answers_nonsense_counts_as_down(body: bytes) -> None:
    where = cloud_of({"0" * 8 + "-0000-4000-8000-000000000000": (1, 1, 0)}, 2)
    one, two = where.pods.serving("compute")
    where.pods.answers[two] = lambda call: replace(answer(200), body=body)  # type: ignore[attr-defined]
    found = ask(where)
    assert ids(found) == ordered(where.pods.answers[one].rows)  # type: ignore[attr-defined]
    assert dict(found.headers)[b"X-Trio2o-Unavailable-Pods"] == b"Pod1"


def test_null_stands_lowest_and_text_is_compared_without_case() -> None:
    where = cloud_of({}, 2)
    for owner, values in zip(where.pods.serving("compute"), (["B", None], ["c", "a"]), strict=True):
        rows = [{"id": f"id-{value}", "name": value} for value in values]
        where.pods.answers[owner] = lambda call, rows=rows: answer(200, {"servers": rows})  # type: ignore
    found = ids(ask(where, "sort_key=display_name&sort_dir=desc"))
    assert found == ["id-c", "id-B", "id-a", "id-None"]
