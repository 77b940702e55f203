"""Nova's other lists over pods: migrations newest first, hypervisors pod after pod."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from helpers import result_of
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from world import Ask, Pods, Routes, answer, context, pod

from trio2o.domain.versions import Version
from trio2o.faces.compute._lists import HOSTS, HYPERVISORS, MIGRATIONS
from trio2o.message import Answer, Call
from trio2o.verbs import Context

Row = dict[str, Any]


def nova(key: str, named: str, rows: list[Row]) -> Ask:
    """A pod that gives its rows in this order, in pages by marker."""

    def ask(call: Call) -> Answer:
        query = dict(parse_qsl(call.query.decode()))
        ids = [str(row[named]) for row in rows]
        start = ids.index(query["marker"]) + 1 if "marker" in query else 0
        limit = int(query.get("limit", 1000))
        page = rows[start : start + limit]
        links = {f"{key}_links": [{"rel": "next", "href": "x"}]} if len(page) == limit else {}
        return answer(200, {key: page, **links})

    return ask


def pages(verb: Any, where: Context, key: str, limit: int, forgets: bool) -> list[Row]:
    """All rows, by the list's own links."""
    seen: list[Row] = []
    query = f"limit={limit}"
    for _ in range(100):
        found: Answer = result_of(verb(Call("GET", b"/", query.encode()), where))
        body = json.loads(found.body)
        seen += body[key]
        if f"{key}_links" not in body:
            return seen
        query = urlsplit(body[f"{key}_links"][0]["href"]).query
        if forgets:
            where.surface.positions.clear()
    raise AssertionError("the list has no end")


MADE = st.lists(
    st.tuples(st.uuids(version=4), st.integers(1, 4), st.integers(0, 2)),
    max_size=12,
    unique_by=lambda one: one[0],
)


@settings(deadline=None, max_examples=60)
@given(MADE, st.integers(1, 3), st.integers(1, 5), st.booleans())
def test_migrations_in_pages_are_newest_first_whatever_is_remembered(
    made: list[tuple[Any, int, int]], count: int, limit: int, forgets: bool
) -> None:
    pods: dict[Any, Ask] = {}
    every: list[tuple[str, int, int, str]] = []
    for n in range(count):
        own = [(str(uuid), day) for uuid, day, where in made if where % count == n]
        rows = [
            {"id": number, "uuid": uuid, "created_at": f"2026-01-0{day}T00:00:00.000000"}
            for number, (uuid, day) in enumerate(own, 1)
        ]
        rows.sort(key=lambda row: (row["created_at"], row["id"]), reverse=True)
        pods[pod(n)] = nova("migrations", "uuid", rows)
        every += [(row["created_at"], row["id"], -n, row["uuid"]) for row in rows]
    where = context(Pods(pods), Routes(), version=Version(2, 59), below=b"/os-migrations")
    found = pages(MIGRATIONS, where, "migrations", limit, forgets)
    assert [row["uuid"] for row in found] == [uuid for *_, uuid in sorted(every, reverse=True)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(1, 5), st.booleans())
def test_hypervisors_in_pages_are_pod_after_pod_in_each_pods_own_order(
    sizes: list[int], limit: int, forgets: bool
) -> None:
    rows = {n: [{"id": f"h{n}{9 - m}"} for m in range(size)] for n, size in enumerate(sizes)}
    pods = {pod(n): nova("hypervisors", "id", own) for n, own in rows.items()}
    where = context(Pods(pods), Routes(), below=b"/os-hypervisors")
    where = replace(where, version=Version(2, 53))
    found = pages(HYPERVISORS, where, "hypervisors", limit, forgets)
    assert [row["id"] for row in found] == [row["id"] for own in rows.values() for row in own]


def test_hosts_of_an_az_are_those_that_are_shown_in_it() -> None:
    def hosts(*zones: str) -> Ask:
        return nova("hosts", "host_name", [{"host_name": zone, "zone": zone} for zone in zones])

    pods = {pod(1): hosts("internal", "nova"), pod(2, pod_az_name=""): hosts("internal", "other")}
    where = context(Pods(pods), Routes(), below=b"/os-hosts")

    def names(query: bytes) -> list[str]:
        found: Answer = result_of(HOSTS(Call("GET", b"/", query), where))
        return [row["host_name"] for row in json.loads(found.body)["hosts"]]

    assert names(b"zone=az2") == ["other"] and names(b"zone=az1.Pod1") == ["nova"]
    assert names(b"zone=internal") == ["internal", "internal"] and names(b"zone=nova") == []
    assert len(names(b"zone=")) == 4
    assert b"zone" not in where.pods.sent[-1][1].query
