"""Neutron's pages over pods, forwards and backwards, by their own links."""

import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from helpers import result_of
from hypothesis import given
from hypothesis import strategies as st
from world import Ask, Pods, Routes, answer, context, pod, route

from trio2o.faces.network._lists import listed
from trio2o.faces.network_resources import NETWORK
from trio2o.message import Answer, Call
from trio2o.verbs import Context

Row = dict[str, str]


def neutron(rows: list[Row]) -> Ask:
    """A pod that sorts by the keys it is told, else by id, and pages by marker."""

    def ask(call: Call) -> Answer:
        query = parse_qsl(call.query.decode())
        names = [value for name, value in query if name == "sort_key"] or ["id"]
        ways = [value for name, value in query if name == "sort_dir"] or ["asc"] * len(names)
        found = sorted(rows, key=lambda row: row["id"])
        for name, way in reversed(list(zip(names, ways, strict=True))):
            found.sort(key=lambda row, name=name: row[name], reverse=way == "desc")  # type: ignore[misc]
        told = dict(query)
        ids = [row["id"] for row in found]
        start = ids.index(told["marker"]) + 1 if "marker" in told else 0
        page = found[start : start + int(told.get("limit", 1000))]
        shown = {f"{NETWORK.path(row['id'])}": row for row in rows}
        if one := shown.get(call.path.decode()):
            return answer(200, {"network": one})
        links = [{"rel": "next", "href": "x"}] if len(page) == int(told.get("limit", 0)) else []
        return answer(200, {"networks": page, "networks_links": links})

    return ask


def walk(where: Context, query: str, rel: str, limit: int) -> list[list[str]]:
    """The ids of page after page, as long as they are full."""
    pages: list[list[str]] = []
    while True:
        found: Answer = result_of(listed(NETWORK)(Call("GET", b"/", query.encode()), where))
        body: Any = json.loads(found.body)
        pages.append([row["id"] for row in body["networks"]])
        links = {link["rel"]: link["href"] for link in body["networks_links"]}
        assert set(links) == ({"next", "previous"} if len(pages[-1]) == limit else {back(rel)})
        if len(pages[-1]) < limit:
            return pages
        query = urlsplit(links[rel]).query


def back(rel: str) -> str:
    return "previous" if rel == "next" else "next"


@given(
    st.lists(st.tuples(st.uuids(version=4), st.sampled_from("abc"), st.integers(0, 2)), max_size=9),
    st.integers(1, 4),
    st.sampled_from(["", "&sort_key=name&sort_dir=asc", "&sort_key=name&sort_dir=desc"]),
)
def test_pages_backwards_are_the_pages_forwards_from_the_other_end(
    made: list[tuple[Any, str, int]], limit: int, sort: str
) -> None:
    rows = [({"id": str(id), "name": name}, n) for id, name, n in made]
    pods = {pod(n): neutron([row for row, m in rows if m == n]) for n in range(3)}
    routes = Routes(*(route(NETWORK, row["id"], pod(n)) for row, n in rows))
    where = context(Pods(pods), routes, below=b"/networks")
    whole = sorted((row for row, _ in rows), key=lambda row: row["id"])
    if sort:
        whole.sort(key=lambda row: row["name"], reverse=sort.endswith("desc"))
    ids = [row["id"] for row in whole]
    forwards = walk(where, f"limit={limit}{sort}", "next", limit)
    assert [id for page in forwards for id in page] == ids
    backwards = walk(where, f"limit={limit}{sort}&page_reverse=True", "previous", limit)
    assert [id for page in reversed(backwards) for id in page] == ids


def test_behind_an_unknown_marker_a_list_begins_anew_unless_a_pod_refuses_it() -> None:
    gone = "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
    asked = Call("GET", b"/", f"limit=2&marker={gone}&name=a".encode())

    def names(says: Answer) -> tuple[int, Any]:
        def ask(call: Call) -> Answer:
            return says if b"marker" in call.query else one(call)

        one = neutron([{"id": gone.replace("6", "7"), "name": "a"}])
        found: Answer = result_of(
            listed(NETWORK)(asked, context(Pods({pod(1): ask}), below=b"/networks"))
        )
        body = json.loads(found.body)
        return found.status, [row["name"] for row in body.get("networks", ())]

    assert names(answer(200, {"networks": []})) == (200, ["a"])
    assert names(answer(404, {"NeutronError": {}})) == (404, [])
