"""What HTTP and identity must be at the edge, row by row, on all faces, by Klein and before it.

Each test below is one row; bytes and seconds are given to a channel in memory, with the face's own
table, shapes of errors and limits. What reaches a verb is what `Edge.seen` has.

    no Host, or two                      a_request_has_one_host
    an escaped slash, dot or control     a_path_with_tricks
    an empty segment                     a_path_with_tricks
    a slash at the end                   a_slash_at_the_end
    unknown path, wrong method           an_unknown_path, a_wrong_method
    a method in lower case               an_unknown_method
    other codings, folds, extensions     what_two_readers_could_take_for_two_things
    two lengths, NUL, blank at a colon   what_two_readers_could_take_for_two_things
    an underscore in a header's name     what_two_readers_could_take_for_two_things
    a head or a body that drips          a_head_that_drips, a_body_that_drips
    a body or a chunk that is too large  a_body_that_is_too_large, an_image_has_any_size
    a head that is too large             a_head_that_is_too_large
    who calls, told by headers           headers_that_tell_who_calls
    no token, a bad one, Keystone away   a_call_without_a_good_token, while_keystone_is_away
    access rules                         access_rules_are_for_the_path
    request ids                          a_request_id
    hop-by-hop headers, cookies          what_ends_here
    the same by Klein and before it      a_hot_row_is_answered_as_by_klein

What reaches pods and comes back (no redirects, cookies or decoding; one retry, of reads alone;
deadlines over the body; limits and breakers) is in `test_through`, with all between both ends being
real; what an attacker tries besides in `test_attacks` and `test_ids_through`.
"""

import json
import re
from functools import cache
from typing import Any

import pytest
from attrs import evolve
from edge import Client, request
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from world import Pods, context

from trio2o.domain.errors import (
    BadRequest,
    Fault,
    MethodNotAllowed,
    NotFound,
    NotImplementedHere,
    TooLarge,
    Unauthorized,
)
from trio2o.domain.values import AccessRule, Caller
from trio2o.domain.versions import ANY
from trio2o.identity import ADMIN, KeystoneUnavailable, Policy
from trio2o.message import Answer, Call, header, whole
from trio2o.service import FACES, _limits
from trio2o.settings import Settings
from trio2o.verbs import Operation, Surface, json_answer
from trio2o.verbs._context import below
from trio2o.web import Asked, Limits, Pipeline, Table, mount
from trio2o.web._channel import TooSlow
from trio2o.web._head import HeadTooLarge

ME = Caller("me", "user", "a" * 32, ("member", "admin"), 9e9)
ID = "0f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
TOKEN = "X-Auth-Token: me"
SHOWS = {
    "admin": "/v1.0/pods",
    "compute": "/v2.1/servers",
    "volume": "/v3/volumes",
    "network": "/v2.0/networks",
    "image": "/v2/images",
}
"""Where each face makes, lists and shows things."""


class Tokens:
    def __init__(self) -> None:
        self.callers: dict[str, Caller | Exception] = {"me": ME}

    def known(self, token: str, *, allow_expired: bool = False) -> None:
        """None is in memory."""

    async def caller(self, token: str, *, allow_expired: bool = False) -> Caller:
        found = self.callers.get(token, Unauthorized("no"))
        if isinstance(found, Exception):
            raise found
        return found


SLASHES = ("admin", "network")
"""Whose paths may end in a slash, as Neutron's may; elsewhere it stands before an id."""


@cache
def long(kind: Any) -> Table:
    """The face's table, all of it found by Klein."""
    rows = [evolve(row, hot=False) for row in kind.operations]
    project, slashes = kind.name in ("compute", "volume"), kind.name in SLASHES
    return mount(kind.version, rows, with_project=project, slashes=slashes)


@cache
def policy_of(kind: Any) -> Policy:
    return Policy({row.policy: ADMIN for row in kind.operations if row.policy})


class Edge:
    """One face in memory. `seen` are the calls that reached a verb, with their whole bodies."""

    def __init__(self, kind: Any, way: str) -> None:
        edge = self
        self.seen: list[tuple[Operation, Call, Asked]] = []
        self.policy = policy_of(kind)

        class Face(kind):  # type: ignore[misc]
            app = kind.app if way == "hot" else long(kind)

            def __init__(self) -> None:
                """It has no parts."""

            def offered(self) -> Any:
                return self.microversions.own if self.microversions else ANY

            async def perform(self, row: Operation, call: Call, asked: Asked) -> Answer:
                body = await whole(call.body, 10**9)
                edge.seen.append((row, replace(call, body=body), asked))
                told = [row.path, asked.params, asked.below.decode(), asked.with_project]
                return json_answer(200, [*told, str(asked.version), call.query.decode()])

        self.face, self.tokens = Face(), Tokens()
        self.list = SHOWS[kind.name]
        self.show = f"{self.list}/{ID}"
        self.limits: Limits = _limits(Settings(), kind.name)

    def client(self, *pieces: bytes) -> Client:
        client = Client(self.limits, None, self.face)
        client.site._pipeline = Pipeline(
            client.clock,
            self.tokens,  # type: ignore[arg-type]
            self.policy,
            "http://key/v3",
            60.0,
        )
        client.say(*pieces)
        return client

    def refuses(self, fault: Fault, *pieces: bytes) -> None:
        """These bytes are answered by this error in the face's shape, no verb sees them, and what
        follows on the connection is not read."""
        client = self.client(*pieces, request(self.list, TOKEN))
        self.told(client, fault)
        assert client.closed and client.reply.headers[b"connection"] == b"close"

    def told(self, client: Client, fault: Fault) -> None:
        shaped, reply = self.face.fault(fault), client.reply
        assert (reply.status, reply.body) == (fault.status, shaped.body)
        kind = header(shaped.headers, b"content-type")
        assert reply.headers[b"content-type"] == kind and b"json" in (kind or b"")
        assert reply.headers[b"x-openstack-request-id"].startswith(b"req-")
        assert b"location" not in reply.headers
        assert self.seen == []


@pytest.fixture(scope="module")
def way() -> None:
    """The tables here are the faces' own."""


EDGES = [(kind, way) for kind in FACES for way in ("long", "hot")]


@pytest.fixture(params=EDGES, ids=lambda one: f"{one[0].name}-{one[1]}")
def edge(request: pytest.FixtureRequest) -> Edge:
    return Edge(*request.param)


@pytest.mark.parametrize("lines", ["", "Host: a\r\nHost: a\r\n", "Host: a\r\nhost: b\r\n"])
def test_a_request_has_one_host(edge: Edge, lines: str) -> None:
    text = f"GET {edge.show} HTTP/1.1\r\n{TOKEN}\r\n{lines}\r\n"
    edge.refuses(BadRequest("A request has one Host header"), text.encode())


@pytest.mark.parametrize(
    "tail",
    [
        *("%2F", "%2f" + ID, "/%2e%2e", "/..", "/./x", "/a%0d%0ab", "/%00", "/%5C", "/\\x", "/%zz"),
        *("//" + ID, "/%ff", "/x#y", "/%7f"),
    ],
)
def test_a_path_with_tricks(edge: Edge, tail: str) -> None:
    edge.refuses(BadRequest("Malformed request URL"), request(f"{edge.list}{tail}", TOKEN))


def test_a_slash_at_the_end(edge: Edge) -> None:
    for path in (f"{edge.list}/", f"{edge.show}/"):
        reply = edge.client(request(path, TOKEN)).reply
        assert reply.status == (200 if edge.face.name in SLASHES else 404)
        assert b"location" not in reply.headers


def test_an_unknown_path(edge: Edge) -> None:
    version = edge.list.split("/")[1]
    for path in (f"/{version}/{ID}/{ID}/{ID}/{ID}/{ID}/{ID}", f"/{version}9/x/y/z"):
        client = edge.client(request(path, TOKEN))
        edge.told(client, NotFound("The resource could not be found."))
        assert not client.closed


def test_a_wrong_method(edge: Edge) -> None:
    client = edge.client(request(edge.list, TOKEN, method="PATCH"))
    allowed = tuple(client.reply.headers[b"allow"].decode().split(", "))
    assert {"GET", "POST"} <= set(allowed)
    words = "The method is not allowed for this resource."
    edge.told(client, MethodNotAllowed(words, allowed))


@pytest.mark.parametrize("method", ["get", "Get", "BREW", "TRACE", "CONNECT"])
def test_an_unknown_method(edge: Edge, method: str) -> None:
    fault = NotImplementedHere("The method is not known.")
    edge.refuses(fault, request(edge.show, TOKEN, method=method))


CODINGS = "Transfer-Encoding may be chunked, in HTTP/1.1, and no other"
CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["Transfer-Encoding: identity", "Content-Length: 2"], CODINGS),
        (["Transfer-Encoding: gzip, chunked"], CODINGS),
        (["X: a", " folded"], "Malformed header: folded lines are not taken"),
        (["Transfer-Encoding: chunked", "Content-Length: 2"], "Malformed request"),
        (["Content-Length: 2", "Content-Length: 2"], "Malformed request"),
        (["Content-Length: +2"], "Malformed request"),
        (["Content-Length: -2"], "Malformed request"),
        (["Content-Length: 2 2"], "Malformed request"),
        (["X: a\0b"], "Malformed request"),
        (["Content-Length : 2"], "Malformed request"),
        (["X_Roles: admin"], "Malformed header: underscores are not taken in names"),
        (["X-Auth-Token: other"], "A request has one X-Auth-Token header"),
    ],
)
def test_what_two_readers_could_take_for_two_things(
    edge: Edge, lines: list[str], message: str
) -> None:
    edge.refuses(BadRequest(message), request(edge.list, TOKEN, *lines, method="POST") + CHUNKS)


def test_a_coding_in_http_1_0(edge: Edge) -> None:
    text = f"POST {edge.list} HTTP/1.0\r\n{TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    edge.refuses(BadRequest(CODINGS), text + CHUNKS)


@pytest.mark.parametrize("chunks", [b"2;x=y\r\n{}\r\n0\r\n\r\n", b"+2\r\n{}\r\n", b"zz\r\n"])
def test_chunks_that_are_not_plain(edge: Edge, chunks: bytes) -> None:
    head = request(edge.list, TOKEN, "Transfer-Encoding: chunked", method="POST")
    edge.refuses(BadRequest("Malformed request"), head, chunks)


def test_a_head_that_drips(edge: Edge) -> None:
    client = edge.client(f"GET {edge.show} HTTP/1.1\r\n{TOKEN}\r\n".encode())
    for _ in range(14):
        client.clock.advance(1.0)
        client.say(b"X: y\r\n")
    assert client.replies() == []
    client.clock.advance(1.0)
    edge.told(client, TooSlow("The request was not received in time."))
    assert client.closed


def test_a_body_that_drips(edge: Edge) -> None:
    client = edge.client(request(edge.list, TOKEN, "Content-Length: 999", method="POST"))
    if not edge.limits.body_seconds:  # the image face: as long as something comes
        for _ in range(500):
            client.clock.advance(1.0)
            client.say(b" ")
        assert client.replies() == [] and not client.closed
        client.clock.advance(edge.limits.idle_seconds)
        assert client.closed and edge.seen == []
        return
    for _ in range(119):
        client.clock.advance(1.0)
        client.say(b" ")
    assert client.replies() == []
    client.clock.advance(1.0)
    edge.told(client, TooSlow("The request was not received in time."))
    assert client.closed


@pytest.mark.parametrize("size", [2**20 + 1, 64 * 2**20, 2**64])
def test_a_body_that_is_too_large(edge: Edge, size: int) -> None:
    fault = TooLarge("The body of a request may have 1048576 bytes.")
    head = request(edge.list, TOKEN, f"Content-Length: {size}", method="POST")
    edge.refuses(fault, head)
    head = request(edge.list, TOKEN, "Transfer-Encoding: chunked", method="POST")
    edge.refuses(fault, head, b"%x\r\n" % size)
    edge.refuses(fault, head, *[b"10000\r\n" + b"x" * 2**16 + b"\r\n"] * 16, b"1\r\nx")


@pytest.mark.parametrize("way", ["long", "hot"])
def test_an_image_has_any_size(way: str) -> None:
    edge = Edge(next(kind for kind in FACES if kind.name == "image"), way)
    text = request(f"{edge.show}/file", TOKEN, f"Content-Length: {3 * 2**20}", method="PUT")
    client = edge.client(text, *[b"x" * 2**16] * 48)
    assert client.reply.status == 200
    ((_, call, asked),) = edge.seen
    assert len(call.body) == 3 * 2**20 and asked.deadline == float("inf")  # type: ignore[arg-type]


def test_a_head_that_is_too_large(edge: Edge) -> None:
    token = "X-Auth-Token: " + "t" * 15_000
    client = edge.client(request(edge.show, token))
    assert client.reply.status == 401 and not client.closed  # it was read
    fault = HeadTooLarge("The head of a request may have 16384 bytes.")
    edge.refuses(fault, request(edge.show, TOKEN, "X: " + "y" * 17_000))
    edge.refuses(fault, b"GET /" + b"x" * 17_000)


@pytest.mark.parametrize(
    "name",
    [
        *("X-Roles", "X-User-Id", "X-User", "X-Project-Id", "X-Project-Domain-Name", "X-Domain-Id"),
        *("X-Tenant", "X-Tenant-Id", "X-Is-Admin-Project", "X-Identity-Status", "X-Role"),
        *("X-Service-Roles", "X-Service-Catalog", "OpenStack-System-Scope", "x-rOLES"),
        "X-Service-Identity-Status",
    ],
)
def test_headers_that_tell_who_calls(edge: Edge, name: str) -> None:
    assert edge.client(request(edge.show, TOKEN, f"{name}: admin")).reply.status == 200
    ((_, call, asked),) = edge.seen
    assert name.lower().encode() not in {key.lower() for key, _ in call.headers}
    assert asked.caller == ME


def test_a_call_without_a_good_token(edge: Edge) -> None:
    for lines in ((), ("X-Auth-Token: other",), ("X-Service-Token: me",)):
        client = edge.client(request(edge.show, *lines))
        assert client.reply.status == 401
        assert client.reply.headers[b"www-authenticate"] == b'Keystone uri="http://key/v3"'
        assert client.reply.json["error"]["code"] == 401
    assert edge.seen == []


def test_while_keystone_is_away(edge: Edge) -> None:
    edge.tokens.callers["new"] = KeystoneUnavailable("away")
    client = edge.client(request(edge.show, "X-Auth-Token: new"))
    edge.told(client, KeystoneUnavailable("away"))
    assert client.reply.status == 503


def test_access_rules_are_for_the_path(edge: Edge) -> None:
    rule = AccessRule(edge.face.types[0], "GET", edge.show)
    edge.tokens.callers["bound"] = evolve(ME, access_rules=(rule,))
    statuses = [
        edge.client(request(target, "X-Auth-Token: bound", method=method)).reply.status
        for method, target in (
            *(("GET", edge.show), ("GET", f"{edge.show}?x=y"), ("GET", edge.list)),
            *(("DELETE", edge.show), ("GET", f"{edge.list}/{ID[:-1]}6")),
        )
    ]
    assert statuses == [200, 200, 401, 401, 401]


def test_a_request_id(edge: Edge) -> None:
    mine = f"req-{ID}"
    for sent, kept in ((mine, True), ("req-1", False), (f"{mine}x", False)):
        reply = edge.client(request(edge.show, TOKEN, f"X-Openstack-Request-Id: {sent}")).reply
        assert (reply.headers[b"x-openstack-request-id"].decode() == sent) == kept
        assert (edge.seen[-1][2].request_id == sent) == kept


def test_what_ends_here(edge: Edge) -> None:
    """Headers of one hop and those that they name, cookies, codings that we would have to undo."""
    hops = "Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Authorization", "Proxy-Connection"
    more = "Cookie", "Accept-Encoding", "X-Named"
    lines = [f"{name}: x" for name in (*hops, *more)]
    edge.client(request(edge.show, TOKEN, "Connection: keep-alive, X-Named", "X-Kept: y", *lines))
    ((_, call, asked),) = edge.seen
    surface = Surface(edge.face.name, "http://top", edge.face.version)
    where = replace(context(Pods({})), surface=surface, below=asked.below)
    sent = {name.decode().lower() for name, _ in below(call, where).headers}
    assert sent.isdisjoint(name.lower() for name in (*hops, *more, "Connection", "Host"))
    assert {"x-kept", "x-auth-token", "x-openstack-request-id"} <= sent


# the two ways are one


def _answers(kind: Any, text: bytes) -> list[bytes]:
    found = []
    for way in ("long", "hot"):
        client = Edge(kind, way).client(text)
        found.append(
            b"".join(line for line in client.link.value().splitlines(True) if b"Date:" not in line)
        )
    return found


HOT = [(kind, row) for kind in FACES for row in kind.operations if row.hot]
LINES = (TOKEN, f"X-Openstack-Request-Id: req-{ID}")


@pytest.mark.parametrize(("kind", "row"), HOT, ids=lambda one: getattr(one, "path", one))
def test_a_hot_row_is_answered_as_by_klein(kind: Any, row: Operation) -> None:
    path = row.path.replace("{id}", ID)
    spelled = [
        path,
        f"{path.rstrip('/')}/",
        f"{path}?limit=1&marker={ID}",
        path.replace(ID, "a%20b"),
    ]
    below = f"/{kind.version}/"
    if path.startswith(below):
        spelled += [path.replace(below, f"{below}{project}/") for project in ("a" * 32, "b" * 32)]
    for target in spelled:
        for version in ((), ("OpenStack-API-Version: compute 2.60, volume 3.50",)):
            one, other = _answers(kind, request(target, *LINES, *version, method=row.method))
            assert one == other != b"", target


@given(
    st.sampled_from([kind for kind in FACES if any(row.hot for row in kind.operations)]),
    st.lists(
        st.sampled_from(
            ["v2.1", "v3", "servers", "volumes", "detail", "a" * 32, ID, "x", "", "%41"]
        ),
        max_size=4,
    ),
    st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT"]),
)
def test_any_path_is_answered_as_by_klein(kind: Any, segments: list[str], method: str) -> None:
    text = request("/" + "/".join(segments), *LINES, "Content-Length: 0", method=method)
    one, other = _answers(kind, text)
    if b"Malformed" in one:  # it was refused with a number of its own
        one, other = (re.sub(rb"req-[0-9a-f-]+", b"", text) for text in (one, other))
    assert one == other and not one.startswith(b"HTTP/1.1 500")


# nothing is an error of ours, nothing hangs

PIECES = st.sampled_from(
    [
        *(
            b"GET ",
            b"POST ",
            b"/v2.1/servers",
            b"/v3/volumes/x",
            b" HTTP/1.1\r\n",
            b" HTTP/1.0\r\n",
        ),
        *(b"Host: a\r\n", b"X-Auth-Token: me\r\n", b"Content-Length: 3\r\n", b"\r\n", b"\r\n\r\n"),
        *(b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b'{"server": {}}'),
        *(b"?marker=%00&limit=-1", b"Expect: 100-continue\r\n", b"/action", b"%C3%A9", b"\0"),
        *(b"OpenStack-API-Version: compute 2.1\r\n", b"Content-Type: application/json\r\n"),
    ]
)


@given(
    st.sampled_from(FACES),
    st.lists(PIECES | st.binary(max_size=5), max_size=14),
    st.integers(1, 80),
)
def test_whatever_comes_is_answered_or_closed_in_time(
    kind: Any, pieces: list[bytes], cut: int
) -> None:
    text = b"".join(pieces)
    client = Edge(kind, "hot").client(*(text[at : at + cut] for at in range(0, len(text), cut)))
    assert b"HTTP/1.1 500" not in client.link.value()
    for _ in range(10):
        client.clock.advance(30.0)
    assert client.closed or client.link.disconnected
    assert b"HTTP/1.1 500" not in client.link.value()


@given(
    st.sampled_from(FACES),
    st.data(),
    st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=12),
    st.binary(max_size=20),
)
def test_odd_ids_queries_and_bodies_are_no_errors_of_ours(
    kind: Any, data: Any, odd: str, body: bytes
) -> None:
    row = data.draw(st.sampled_from(kind.operations))
    target = "/".join(odd if "{" in part else part for part in row.path.split("/"))
    text = request(f"{target}?{odd}", TOKEN, f"X: {odd}", method=row.method, body=body)
    client = Edge(kind, "hot").client(text)
    for reply in client.replies(row.method):
        assert reply.status < 500 or reply.status == 501, reply
        if reply.status >= 400 and row.method != "HEAD":
            json.loads(reply.body)
    client.clock.advance(200.0)
    assert client.replies(row.method) or client.closed
