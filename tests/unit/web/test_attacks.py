"""What somebody tries who wants more than to be served: each is refused, or means nothing, on every
face, and never reaches a pod. What edge.md's rows name is in `test_edge_rows`."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from authority import Authority
from edge import request
from memory import ID, THINGS, TOKEN, Memory, Through
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory

from trio2o.running import Certificates
from trio2o.service import FACES
from trio2o.telemetry import Ended
from trio2o.telemetry._telemetry import access_line, audit_line
from trio2o.web._channel import CLOSING

MINE = f"X-Auth-Token: {TOKEN}"
CHUNKED = "Transfer-Encoding: chunked"


class Edge:
    def __init__(self, kind: Any) -> None:
        self.world, self.face = Memory(), kind.name
        self.client = self.world.client(kind.name)
        self.list = THINGS.get(kind.name, ("/v1.0/pods",))[0]
        self.show = f"{self.list}/{ID}"

    @property
    def sent(self) -> bytes:
        """All that servers behind got."""
        servers = self.world.servers.values()
        return b"".join(
            link.value()
            for server in servers
            if server is not self.world.keystone
            for link in server.links
        )

    def is_refused(self, text: bytes, *statuses: int) -> None:
        """One answer in the API's shape, then the end: what was hidden behind is not read."""
        hidden = request(f"{self.list}/hidden", MINE)
        client: Through = self.world.client(self.face)
        client.say(text + hidden)
        assert client.reply.status in (statuses or (400,)), client.reply
        assert json.loads(client.reply.body) and client.closed
        assert client.reply.headers[b"connection"] == b"close"
        assert self.sent == b""


@pytest.fixture(scope="module")
def way() -> None:
    """The tables here are the faces' own."""


@pytest.fixture(params=FACES, ids=lambda kind: kind.name)
def edge(request: pytest.FixtureRequest) -> Edge:
    return Edge(request.param)


# what one reader takes for one request, and another for two


@pytest.mark.parametrize(
    "lines",
    [
        ["Transfer-Encoding: chunked, chunked"],
        [CHUNKED, CHUNKED],
        ["Transfer-Encoding: chunked, identity"],
        ["Transfer-Encoding: \x0bchunked"],
        ["Transfer-Encoding: chunked;q=1"],
        ["Transfer-Encoding: x", CHUNKED],
        ["Transfer-Encoding:"],
        ["Transfer-Encoding : chunked"],
        ["X: y", " Transfer-Encoding: chunked"],
        ["X: y\r", "\tTransfer-Encoding: chunked"],
        ["X: y\rTransfer-Encoding: chunked"],
        ["X: y\nTransfer-Encoding: chunked"],
        ["X: y\0"],
        ["Content-Length: 5, 5"],
        ["Content-Length: 0x5"],
        ["Content-Length: 5 "[:-1], "content-length: 6"],
        ["Content-Length: \xb2"],
        ["Content-Length:"],
        ["Content-Length: 1_0"],
        ["Content-Length: 5", CHUNKED],
        [": y"],
        ["no colon"],
        ["X\x80: y"],
        ["X Y: z"],
        ["Transfer_Encoding: chunked"],
        ["Content_Length: 5"],
    ],
)
def test_lines_that_hide_a_request(edge: Edge, lines: list[str]) -> None:
    edge.is_refused(request(edge.list, MINE, *lines, method="POST"))


@pytest.mark.parametrize(
    "chunks",
    [
        b"5;x\r\n01234\r\n0\r\n\r\n",
        b'5;x="\n"\r\n01234\r\n0\r\n\r\n',
        b"5\n01234\r\n0\r\n\r\n",
        b"5\r\n012345\r\n0\r\n\r\n",
        b"5\r\n0123456\r\n0\r\n\r\n",
        b" 5\r\n01234\r\n0\r\n\r\n",
        b"5 \r\n01234\r\n0\r\n\r\n",
        b"0x5\r\n01234\r\n0\r\n\r\n",
        b"-5\r\n01234\r\n0\r\n\r\n",
        b"\r\n01234\r\n0\r\n\r\n",
        b"5_0\r\n01234\r\n0\r\n\r\n",
        b"5\r01234\r\n0\r\n\r\n",
        b"00000000000000000000000000000000000005\r\n01234\r\n",
    ],
)
def test_chunks_that_hide_a_request(edge: Edge, chunks: bytes) -> None:
    head = request(edge.list, MINE, CHUNKED, method="POST")
    edge.is_refused(head + chunks, 400, 413)


def test_trailers_change_nothing(edge: Edge) -> None:
    """Neither the caller nor a header for the pod comes behind a body."""
    body = b"2\r\n{}\r\n0\r\nX-Auth-Token: a-token-of-an-admin\r\nX-Late: y\r\n\r\n"
    line = "Content-Type: application/json"
    edge.client.say(request(edge.list, CHUNKED, line, method="POST") + body)
    assert edge.client.reply.status == 401 and edge.sent == b""
    other = edge.world.client(edge.face)
    other.say(request(edge.list, MINE, CHUNKED, line, method="POST") + body)
    edge.world.wait(10.0)
    assert b"late" not in edge.sent.lower() and b"of-an-admin" not in edge.sent


def test_trailers_are_bounded(edge: Edge) -> None:
    edge.client.say(request(edge.list, MINE, CHUNKED, method="POST") + b"2\r\n{}\r\n0\r\n")
    for _ in range(100):
        edge.client.say(b"X: y\r\n" * 1000)
    assert edge.client.closed and edge.client.reply.status == 400


@pytest.mark.parametrize(
    "first",
    [
        "GET http://evil.example{0} HTTP/1.1",
        "GET //evil.example{0} HTTP/1.1",
        "GET evil.example:80 HTTP/1.1",
        "GET @evil.example{0} HTTP/1.1",
        "OPTIONS * HTTP/1.1",
        "GET {0} HTTP/1.2",
        "GET {0} HTTP/2.0",
        "GET {0} http/1.1",
        "GET {0} HTTP/1.1 ",
        "GET  {0} HTTP/1.1",
        "GET\t{0} HTTP/1.1",
        " GET {0} HTTP/1.1",
        "GET {0}\x0bHTTP/1.1",
        "GET {0} HTTP/1.1\rX: y",
        "GET {0}",
        "GET {0}#x HTTP/1.1",
        "GET {0}\xe9 HTTP/1.1",
        "PRI * HTTP/2.0",
        "\x16\x03\x01\x02\x00\x01\x00",
    ],
)
def test_first_lines_that_are_no_http_1_1(edge: Edge, first: str) -> None:
    line = first.format(edge.show)
    edge.is_refused(f"{line}\r\nHost: a\r\n{MINE}\r\n\r\n".encode("latin-1"))


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "get", "PROPFIND", "GET/", "X" * 5000])
def test_methods_that_nobody_serves(edge: Edge, method: str) -> None:
    edge.is_refused(request(edge.show, MINE, method=method), 400, 501)


@pytest.mark.parametrize(
    "odd",
    [
        *("..%2f..%2fx", "%2e%2e", "..", ".", "%2E", "a%00b", "%0d%0aX:%20y", "a%5cb", "a\\b"),
        *("%", "%zz", "%e9", "%c0%ae%c0%ae", "%7f", "a/../b", "a/%2e%2e/b", "a//b", "%1f"),
    ],
)
def test_ids_that_are_paths(edge: Edge, odd: str) -> None:
    edge.is_refused(request(f"{edge.list}/{odd}", MINE))


def test_a_marker_is_a_value_whatever_is_in_it(edge: Edge) -> None:
    marker = "..%2f..%2fx%26all_tenants=1%23%00%0d%0aX-Evil:%20y"
    edge.client.say(request(f"{edge.list}?marker={marker}", MINE))
    edge.world.wait(70.0)
    assert edge.client.reply.status < 600
    for line in edge.sent.split(b"\r\n"):
        assert not line.lower().startswith(b"x-evil") and b"&all_tenants" not in line
    assert b"\0" not in edge.sent and b"/../" not in edge.sent


# what is asked of the connection


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "TLS/1.0"])
def test_an_upgrade_is_not_made(edge: Edge, protocol: str) -> None:
    lines = f"Upgrade: {protocol}", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AAMA"
    edge.client.say(request("/no/where", MINE, *lines), request("/no/where", MINE))
    assert [one.status for one in edge.client.replies()] == [404, 404]
    assert b"upgrade" not in edge.client.link.value().lower()


@pytest.mark.parametrize("expected", ["200-ok", "100-continue, x", "", "nothing"])
def test_what_else_is_expected_is_not_waited_for(edge: Edge, expected: str) -> None:
    edge.client.say(request("/no/where", MINE, f"Expect: {expected}"))
    assert edge.client.reply.status == 404


def test_thousands_of_pipelined_calls_are_answered_one_by_one(edge: Edge) -> None:
    text = request("/no/where", MINE) * 3000
    edge.client.say(*[text[at : at + 65536] for at in range(0, len(text), 65536)])
    edge.world.wait(1.0)
    assert [one.status for one in edge.client.replies()] == [404] * 3000


def test_thousands_of_pipelined_calls_behind_one_that_waits_are_not_read() -> None:
    edge = Edge(next(kind for kind in FACES if kind.name == "compute"))
    text = request(edge.show, MINE) * 3000
    for at in range(0, len(text), 65536):
        if edge.client.link.producerState == "producing":
            edge.client.say(text[at : at + 65536])
    assert edge.client.link.producerState == "paused" and edge.sent.count(b"GET ") == 1
    assert len(edge.client.channel._buffer) < 2 * 65536  # what a socket gives at once, twice


def test_who_asks_much_and_takes_nothing_is_read_no_further(edge: Edge) -> None:
    """Answers that nobody takes pile up no further than the transport's own buffer."""
    edge.client.channel.pauseProducing()
    edge.client.say(request("/no/where", MINE) * 100)
    assert len(edge.client.replies()) <= 1
    edge.world.wait(75.0)
    edge.world.wait(CLOSING)
    assert edge.client.link.disconnected


@pytest.mark.parametrize("count", [501, 5000])
def test_too_many_headers(edge: Edge, count: int) -> None:
    text = request(edge.show, MINE, *["a:b"] * count)
    edge.is_refused(text, 400, 431)


@pytest.mark.parametrize(
    "text", [b"", b"\r\n", b"\r\n" * 5, b"G", b"GET / HTTP/1.1\r\nHost: a\r\n"]
)
def test_who_says_nothing_more_is_sent_away(edge: Edge, text: bytes) -> None:
    edge.client.say(text) if text else None
    for _ in range(7):
        edge.world.wait(15.0)
    assert edge.client.closed or edge.client.link.disconnected
    assert not edge.world.sites[edge.face].running


def test_empty_lines_without_end_are_no_life(edge: Edge) -> None:
    for _ in range(80):
        edge.client.say(b"\r\n" * 100)
        edge.world.wait(1.0)
    assert edge.client.closed


HELLO = bytes.fromhex("0303") + bytes(32) + b"\0" + b"\0\x02\x13\x01" + b"\x01\0"


@pytest.mark.parametrize("pieces", [0, 1, 60])
def test_a_handshake_that_never_ends_is_given_up(tmp_path: Path, edge: Edge, pieces: int) -> None:
    file = str(Authority(tmp_path).issue("server.pem", "127.0.0.1"))
    site = edge.world.sites[edge.face]
    factory = TLSMemoryBIOFactory(Certificates(file, file), False, site, edge.world.reactor)
    secure, link = factory.buildProtocol(None), StringTransport()
    secure.makeConnection(link)
    hello = b"\x01" + struct.pack("!I", len(HELLO))[1:] + HELLO
    record = b"\x16\x03\x01" + struct.pack("!H", len(hello) + 60) + hello  # sixty bytes are missing
    secure.dataReceived(record) if pieces else None
    for _ in range(90):
        if pieces > 1 and not link.disconnected:
            secure.dataReceived(b"\0") if _ < 58 else None
        edge.world.reactor.advance(1.0)
    assert link.disconnecting or link.disconnected


# what is written down


@pytest.mark.parametrize(
    "path", ["/v2.1/%22%7D%7B", "/x%C2%85y", "/x%E2%80%A8y", '/"},{"status":200', "/x?token=%0a"]
)
def test_a_log_has_one_line_a_call_whatever_is_asked(edge: Edge, path: str) -> None:
    told: list[Ended] = []
    edge.world.sites[edge.face]._pipeline._ended = told.append
    edge.client.channel.peer = "192.0.2.7"
    lines = 'X-Openstack-Request-Id: req-"}{', 'User-Agent: "}\x85{'
    edge.client.say(request(path, MINE, *lines, method="POST"))
    assert edge.client.reply.status in (400, 404, 405)
    assert len(told) == 1
    for line in (access_line(told[0]), audit_line(told[0])):
        assert line.count(b"\n") == 0 and len(line.decode().splitlines()) == 1
        assert isinstance(json.loads(line), dict)
    assert json.loads(access_line(told[0]))["status"] == edge.client.reply.status
