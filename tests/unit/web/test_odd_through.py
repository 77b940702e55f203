"""Whatever clients say, and whatever pods answer: whole faces have no error of ours, leave nobody
waiting, and stay in step on the connection. As `test_through`, with examples that nobody wrote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import cycle
from typing import Any
from unittest import mock
from urllib.parse import quote, urlencode

import pytest
from edge import request
from hypothesis import given, settings
from hypothesis import strategies as st
from memory import ADMIN, ID, Heard, Memory, Through, reply
from odd import BODY, HEADERS, JSON, NAMES, ODD
from twisted.logger import LogLevel, globalLogPublisher

from trio2o.service import FACES
from trio2o.web import _pipeline, _site
from trio2o.web._pipeline import UNEXPECTED


@pytest.fixture(scope="module")
def way() -> None:
    """The tables here are the faces' own."""


KIND = "Content-Type: application/json"
VERSION = "OpenStack-API-Version: compute 2.60, volume 3.50"
NONE = {"pod": "has no such thing"}
ROWS = [(kind, row) for kind in FACES for row in kind.operations]
BEHIND = [(kind, row) for kind, row in ROWS if kind.name != "admin" and not row.open]

KNOWN = sorted(
    {key for kind in FACES for one in kind.resources.values() for key in (one.key, one.rows)}
)
"""What bodies of the APIs have at their top."""

MEMBERS = st.sampled_from(
    [
        *("id", "uuid", "name", "links", "created", "created_at", "updated_at", "status", "flavor"),
        *("tenant_id", "project_id", "user_id", "image", "metadata", "availability_zone", "host"),
        *(
            "OS-EXT-AZ:availability_zone",
            "os-vol-tenant-attr:tenant_id",
            "volume_id",
            "attachments",
        ),
        *("zoneName", "zoneState", "hosts", "fingerprint", "keypair", "is_public", "extra_specs"),
        *("network_id", "port_id", "fixed_ips", "members", "policies", "server_id", "version"),
    ]
)
VALUES = st.one_of(
    JSON,
    st.sampled_from([ID, [{"rel": "self", "href": "http://x/v2.1/servers/1"}], [{"href": 5}]]),
    st.sampled_from(["2026-01-01T00:00:00Z", {"id": ID, "links": []}, "nova", {"available": 1}]),
)
ROW = st.dictionaries(MEMBERS, VALUES, max_size=6) | st.just({"id": ID}) | JSON
DOCUMENT = st.dictionaries(
    st.sampled_from(KNOWN) | MEMBERS, ROW | st.lists(ROW, max_size=3), max_size=3
)


@st.composite
def answers(draw: st.DrawFn, keys: list[str]) -> bytes:
    """What a pod may answer, or something else."""
    status = draw(st.sampled_from([200, 200, 200, 201, 202, 204, 300, 302, 400, 404, 409, 503]))
    sure = st.sampled_from(keys) if keys else st.nothing()
    likely = st.dictionaries(sure, ROW | st.lists(ROW, max_size=3), max_size=2)
    text = json.dumps(draw(likely | DOCUMENT | JSON)).encode()
    lines = draw(
        st.lists(
            st.sampled_from(
                [
                    *("Location: http://x/v2/images/1", "Location: \xff", "Set-Cookie: a=b", "X:"),
                    *("Connection: close", "Connection: X-A, keep-alive", "X-A: 1", "Vary: *"),
                    *("Retry-After: soon", "OpenStack-API-Version: compute 9.9", "Date: never"),
                    *("X-Openstack-Request-Id: \x80", "WWW-Authenticate: Basic", "Upgrade: h2c"),
                ]
            ),
            max_size=3,
        )
    )
    whole = reply(status, None, KIND, *lines, body=text if status != 204 else b"")
    how = draw(st.sampled_from(["whole"] * 6 + ["cut", "chunks", "half", "close", "more", "noise"]))
    head = "\r\n".join((f"HTTP/1.1 {status} x", KIND, *lines)).encode("latin-1") + b"\r\n"
    chunk = b"%x\r\n%s\r\n" % (len(text), text) if text else b""
    return {
        "whole": whole,
        "cut": whole[: draw(st.integers(0, len(whole)))],
        "chunks": head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + b"0\r\n\r\n",
        "half": head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + draw(st.binary(max_size=4)),
        "close": head + b"\r\n" + text,
        "more": whole + draw(st.binary(min_size=1, max_size=40)),
        "noise": draw(st.binary(min_size=1, max_size=60)),
    }[how]


@contextmanager
def nothing_fails() -> Iterator[None]:
    """No error of ours is logged meanwhile, nor one that nobody took."""
    found: list[Any] = []

    def told(event: Any) -> None:
        if event["log_level"] in (LogLevel.error, LogLevel.critical):
            found.append(event)

    log = mock.Mock()
    log.error.side_effect = lambda text, **fields: found.append(fields.get("traceback", text))
    globalLogPublisher.addObserver(told)
    try:
        with mock.patch.object(_pipeline, "log", log), mock.patch.object(_site, "log", log):
            yield
    finally:
        globalLogPublisher.removeObserver(told)
    assert not found, found[0]


def shaped(world: Memory, client: Through) -> None:
    """Each answer is a pod's own, or has the shape of this API's errors."""
    face = client.face_name
    for found in client.replies(*client.methods, partly=True):
        assert UNEXPECTED.encode() not in found.body and found.status != 500
        kind = found.headers.get(b"content-type", b"")
        if found.status < 400 or not found.body or not kind.startswith(b"application/json"):
            continue
        body = json.loads(found.body)
        if body == NONE or not isinstance(body, dict):
            continue
        if found.status == 401 or face == "admin":
            assert body["error"].keys() == {"code", "title", "message"}
        elif face == "image":
            assert body.keys() == {"code", "title", "message"}
        elif face == "network":
            assert body["NeutronError"].keys() == {"type", "message", "detail"}
        else:
            ((_, error),) = body.items()
            assert error.keys() - {"retryAfter"} == {"code", "message"}
            assert error["code"] == found.status


def is_answered(world: Memory, client: Through) -> None:
    """Every call has its whole answer, or the connection is closed: at once or in time."""
    for _ in range(8):
        if client.closed or client.link.disconnected:
            return
        if len(client.replies(*client.methods, partly=True)) == len(client.methods):
            return
        world.wait(30.0)
    raise AssertionError(f"it hangs: {client.link.value()!r}")


def is_in_step(world: Memory, client: Through) -> None:
    """The next call has its own answer: on this connection, if it is open, and on another."""
    for server in world.servers.values():
        if server is not world.keystone:
            server.says = lambda heard: reply(202, {"next": 1})
    target = "/v2/images/x" if client.face_name == "image" else _own(client.face_name)
    for one in (client, world.client(client.face_name)):
        if one.closed or one.link.disconnected:
            continue
        before = len(one.replies(*one.methods, partly=True))
        one.say(request(target, f"X-Auth-Token: {ADMIN}"))
        world.wait(0.0)
        (found,) = one.replies(*one.methods, partly=True)[before:]
        if client.face_name == "image" and found.status != 503:  # else it is held to be down
            assert (found.status, json.loads(found.body)) == (202, {"next": 1})
        else:
            assert found.status in (200, 503), found


def _own(face: str) -> str:
    """A call that no server behind has a part in."""
    return {"compute": "/", "volume": "/healthcheck", "network": "/", "admin": "/v1.0/pods"}[face]


def _target(row: Any, ids: list[str], query: dict[str, str]) -> str:
    words = [quote(ids.pop(), safe="") if "{" in word else word for word in row.path.split("/")]
    return "/".join(words) + (f"?{urlencode(query)}" if query else "")


IDS = st.lists(ODD | st.just(ID), min_size=6, max_size=6)


@settings(max_examples=60)
@given(
    st.sampled_from(ROWS),
    IDS,
    st.dictionaries(NAMES, ODD, max_size=3),
    HEADERS,
    BODY,
    st.sampled_from(["", "", "", "POST", "HEAD", "OPTIONS"]),
    st.integers(1, 400),
    st.sampled_from([2, 2, 0]),
)
def test_no_odd_call_is_an_error_of_ours_or_hangs(
    kind_row: Any,
    ids: list[str],
    query: dict[str, str],
    headers: list[str],
    body: bytes,
    method: str,
    cut: int,
    pods: int,
) -> None:
    kind, row = kind_row
    world = Memory(pods=pods)
    for server in world.servers.values():
        if server is not world.keystone:
            server.says = lambda heard: reply(404, NONE)
    client = world.client(kind.name)
    client.methods = (method or row.method,)
    lines = f"X-Auth-Token: {ADMIN}", *headers
    text = request(_target(row, ids, query), *lines, method=client.methods[0], body=body)
    with nothing_fails():
        client.say(*[text[at : at + cut] for at in range(0, len(text), cut)])
        is_answered(world, client)
        shaped(world, client)
        is_in_step(world, client)


@pytest.mark.parametrize("kind", FACES, ids=lambda kind: kind.name)
def test_without_a_pod_no_row_is_an_error_of_ours(kind: Any) -> None:
    """As an appliance is on its first day."""
    world = Memory(pods=0)
    world.glance.says = lambda heard: reply(404, NONE)
    client = world.client(kind.name)
    for row in kind.operations:
        client.methods = (*client.methods, row.method)
        body = json.dumps({row.action: {}} if row.action else {}).encode()
        lines = f"X-Auth-Token: {ADMIN}", KIND, VERSION
        text = b"" if row.method in ("GET", "DELETE") else body
        client.say(request(_target(row, [ID] * 6, {}), *lines, method=row.method, body=text))
        world.wait(0.0)
    shaped(world, client)
    assert len(client.replies(*client.methods)) == len(kind.operations)


@settings(max_examples=60)
@given(st.sampled_from(BEHIND), IDS, st.data())
def test_nothing_that_pods_answer_is_an_error_of_ours_or_hangs(
    kind_row: Any, ids: list[str], data: st.DataObject
) -> None:
    kind, row = kind_row
    world = Memory()
    keys = [
        k
        for k in KNOWN
        if any(k.replace("_", "-") in w.replace("_", "-") for w in row.path.split("/"))
    ]
    said = cycle(data.draw(st.lists(answers(keys), min_size=1, max_size=5), label="answers"))
    asked: list[Heard] = []

    def says(heard: Heard) -> bytes | None:
        asked.append(heard)
        return next(said)

    for server in world.servers.values():
        if server is not world.keystone:
            server.says = says
    client = world.client(kind.name)
    client.methods = (row.method,)
    body = b""
    if row.method in ("POST", "PUT", "PATCH"):
        named = {row.action: {}} if row.action else {(keys or ["x"])[0]: {"name": "n", "size": 1}}
        body = json.dumps(named).encode()
    text = request(
        _target(row, ids, {}), f"X-Auth-Token: {ADMIN}", KIND, VERSION, method=row.method, body=body
    )
    with nothing_fails():
        client.say(text)
        for heard in asked:
            if data.draw(st.booleans(), label="closes"):
                heard.link.close()
        world.settle()
        is_answered(world, client)
        for found in client.replies(*client.methods, partly=True):
            assert UNEXPECTED.encode() not in found.body
        is_in_step(world, client)
