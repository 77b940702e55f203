"""From a table of operations to the calls of a face: paths, projects, methods."""

from typing import Any
from urllib.parse import quote

import pytest
from edge import ROWS, Client, Face, Op, error, request
from hypothesis import given
from hypothesis import strategies as st

from trio2o.message import Answer, Call
from trio2o.web import Found, mount

ROW = {
    "root": Op("GET", "/"),
    "version": Op("GET", "/v1"),
    "list": Op("GET", "/v1/things"),
    "detail": Op("GET", "/v1/things/detail"),
    "show": Op("GET", "/v1/things/{id}"),
    "key": Op("GET", "/v1/things/{id}/keys/{key}"),
    "start": Op("POST", "/v1/things/{id}/action", action="start"),
    "stop": Op("POST", "/v1/things/{id}/action", action="stop"),
}
NAMES = {row: name for name, row in ROW.items()}


class Told:
    """A pipeline that keeps for which rows it was called, and with what."""

    def refused(self, *told: object) -> None:
        """Told of what no operation saw."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.told: list[tuple[list[str], list[str], str]] = []

    async def serve(self, face: Any, found: Found, call: Call, asker: Any) -> Answer:
        self.calls.append(call)
        names = [NAMES[row] for row in found.rows]  # type: ignore[index]
        self.told.append((names, list(found.segments), found.project))
        return Answer(200, body=b"yes")


def client(rows: Any = None, with_project: bool = True, slashes: bool = True) -> Client:
    app = mount("v1", rows or ROW.values(), with_project, slashes=slashes)
    face = type("Small", (Face,), {"app": app})()
    return Client(pipeline=Told(), face=face)


def told(target: str, method: str = "GET", **how: Any) -> tuple[list[str], list[str], str]:
    asked = client(**how)
    asked.say(request(target, method=method))
    assert asked.reply.status == 200
    ((rows, segments, project),) = asked.served.told
    return rows, segments, project


PATHS = [
    ("/", ["root"], [], ""),
    ("/v1", ["version"], [], ""),
    ("/v1/", ["version"], [], ""),
    ("/v1/things", ["list"], [], ""),
    ("/v1/things?limit=/v1", ["list"], [], ""),
    ("/v1/things/detail", ["detail"], [], ""),
    ("/v1/things/x", ["show"], ["x"], ""),
    ("/v1/things/things", ["show"], ["things"], ""),
    ("/v1/things/x/keys/y", ["key"], ["x", "y"], ""),
    ("/v1/0af/things", ["list"], [], "0af"),
    ("/v1/0af/things/detail", ["detail"], [], "0af"),
    ("/v1/0af/things/x/keys/y/", ["key"], ["x", "y"], "0af"),
    ("/v1/xyz/things", [], [], ""),
    ("/v1/0AF/things", [], [], ""),
    ("/v1/things/detail/x", [], [], ""),
    ("/v1/things/x/keys", [], [], ""),
    ("/V1/things", [], [], ""),
    ("/v1/0af", [], [], ""),
    ("/v1/0af/0af/things", [], [], ""),
]


@pytest.mark.parametrize(("target", "rows", "segments", "project"), PATHS)
def test_a_path_is_that_of_its_row(
    target: str, rows: list[str], segments: list[str], project: str
) -> None:
    assert told(target) == (rows, segments, project)


@given(st.permutations(list(ROW.values())), st.sampled_from(PATHS))
def test_the_order_of_a_table_does_not_matter(rows: list[Op], path: Any) -> None:
    target, names, segments, project = path
    assert told(target, rows=rows) == (names, segments, project)


def test_rows_of_one_path_and_method_are_told_together_in_their_order() -> None:
    assert told("/v1/things/x/action", "POST") == (["start", "stop"], ["x"], "")


def test_a_project_is_taken_only_where_the_api_has_one() -> None:
    assert told("/v1/0af/things", with_project=False) == ([], [], "")
    assert told("/v1/things", with_project=False) == (["list"], [], "")


IDS = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"), min_size=1
).filter(lambda text: text not in (".", "..", "detail"))


@given(IDS)
def test_an_id_is_told_as_it_was_meant(id: str) -> None:
    target = f"/v1/things/{quote(id, safe='')}"
    if len(target) < 900:
        assert told(target) == (["show"], [id], "")


def test_head_is_taken_where_get_is() -> None:
    asked = client()
    asked.say(request("/v1/things", method="HEAD"))
    (reply,) = asked.replies("HEAD")
    assert (reply.status, reply.headers[b"content-length"], reply.body) == (200, b"3", b"")
    assert asked.calls[0].method == "HEAD"


@pytest.mark.parametrize(
    ("target", "method", "allowed"),
    [
        ("/v1/things", "DELETE", b"GET, HEAD"),
        ("/v1/0af/things", "DELETE", b"GET, HEAD"),
        ("/v1/things/x/action", "GET", b"POST"),
        ("/v1/things/x/action", "OPTIONS", b"POST"),
    ],
)
def test_a_method_that_a_path_has_not_is_405_with_those_that_it_has(
    target: str, method: str, allowed: bytes
) -> None:
    asked = client()
    asked.say(request(target, method=method))
    message = "The method is not allowed for this resource."
    assert (asked.reply.status, asked.reply.json) == (405, error(405, message))
    assert asked.reply.headers[b"allow"] == allowed
    assert asked.calls == []
    assert not asked.closed


def test_a_path_that_lacks_its_id_at_the_end_is_an_unknown_one() -> None:
    assert told("/v1/things/", method="DELETE") == ([], [], "")


@pytest.mark.parametrize("target", ["/v1/things/", "/v1/0af/things/", "/v1/things/x/keys/"])
def test_where_slashes_do_not_end_paths_a_path_with_one_is_an_unknown_one(target: str) -> None:
    assert told(target, slashes=False) == ([], [], "")
    assert told("/v1/", slashes=False) == (["version"], [], "")


@given(st.sampled_from(ROWS[1:]), st.sampled_from(["", "/", "?", "?a=%2F"]))
def test_no_spelling_of_a_path_is_redirected(row: Op, end: str) -> None:
    asked = Client()
    asked.say(request(row.path.replace("{id}", "x") + end, method=row.method))
    (reply,) = asked.replies(row.method)
    assert reply.status == 200 and b"location" not in reply.headers
