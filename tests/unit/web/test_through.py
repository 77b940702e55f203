"""What HTTP and identity must be between a client and a pod: whole faces, real verbs, one pool.

Bytes of a client go in, bytes of servers behind go in, and what each of them gets is looked at. On
the faces of pods and of images; a face whose table has hot rows is tried by Klein too.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from edge import Reply, request
from memory import ADMIN, GLANCE, ID, PROJECT, THINGS, TOKEN, Heard, Memory, Through, host, reply

from trio2o.domain.errors import IMAGES, Fault, PodTimeout, PodUnavailable
from trio2o.message import header
from trio2o.settings import PodsSettings, ServiceSettings, Settings

PROXY = "10.0.0.77"
OTHER = "7c9e6679-7425-40de-944b-e07fc1f90ae7"
MINE = f"X-Auth-Token: {TOKEN}"
FACES = [
    *(("compute", "hot"), ("compute", "long"), ("volume", "hot"), ("volume", "long")),
    *(("network", "hot"), ("image", "hot")),
]
SPOOFED = (
    *("X-Roles", "X-Role", "X-User", "X-User-Id", "X-User-Name", "X-User-Domain-Id", "X-Domain-Id"),
    *("X-Project-Id", "X-Project-Domain-Name", "X-Tenant", "X-Tenant-Id", "X-Is-Admin-Project"),
    *("X-Identity-Status", "X-Service-Roles", "X-Service-Catalog", "X-Service-Identity-Status"),
    *("X-Service-User-Id", "X-Service-Project-Id", "OpenStack-System-Scope", "x-rOLES"),
    *("X-Auth-Plugin", "X-Project-Name", "X-Domain-Name"),
)
WRITES = {
    "compute": ("POST", f"/v2.1/servers/{ID}/action", {"os-stop": None}),
    "volume": ("POST", f"/v3/volumes/{ID}/action", {"os-detach": {}}),
    "network": ("PUT", f"/v2.0/networks/{ID}", {"network": {"name": "n"}}),
    "image": ("POST", f"/v2/images/{ID}/actions/deactivate", None),
}
"""A call of each face that changes something."""


class Edge:
    """A face of an appliance in memory, and a client of it."""

    def __init__(self, face: str, way: str, settings: Settings | None = None) -> None:
        self.world, self.face = Memory(way, settings), face
        self.list, self.thing = THINGS[face]
        self.show = f"{self.list}/{ID}"
        self.pod = self.world.pod(face)
        self.name = IMAGES if face == "image" else "Pod1"
        self.client = self.world.client(face)

    def ask(self, *lines: str, method: str = "GET", body: bytes = b"") -> None:
        self.client.say(request(self.show, MINE, *lines, method=method, body=body))

    def write(self, client: Through | None = None) -> None:
        method, target, document = WRITES[self.face]
        body = b"" if document is None else json.dumps(document).encode()
        line = "Content-Type: application/json"
        (client or self.client).say(request(target, MINE, line, method=method, body=body))

    @property
    def shown(self) -> dict[str, Any]:
        thing = {"id": ID, "name": "one"}
        return thing if self.face == "image" else {self.thing: thing}

    def answered(self, *lines: str) -> Reply:
        """The client's reply to what was asked, answered by the pod with these headers."""
        self.pod.say(reply(200, self.shown, *lines))
        self.world.settle()
        return self.client.reply

    def keeps_a_connection(self) -> None:
        """One call was answered, and its connection to the pod is kept."""
        self.ask()
        assert self.answered().status == 200
        self.client = self.world.client(self.face)
        self.pod.asked.clear()

    def failed(self, fault: Fault) -> None:
        """The client has this error in the API's own shape, and may go on."""
        found, shaped = self.client.replies()[-1], self.world.sites[self.face].face.fault(fault)
        assert (found.status, found.body) == (fault.status, shaped.body)
        assert found.headers[b"content-type"] == header(shaped.headers, b"content-type")
        assert found.headers[b"x-openstack-request-id"].startswith(b"req-")
        assert not self.client.closed
        self.is_in_step()

    def is_in_step(self) -> None:
        """The next call on the same connection has its own answer."""
        before = len(self.client.replies())
        text = b'{"next": 1}'
        for server in self.world.servers.values():
            if server is not self.world.keystone:
                server.says = lambda heard: reply(202, None, body=text)
        self.write()
        self.world.settle()
        after = self.client.replies()[before:]
        assert [(one.status, json.loads(one.body)) for one in after] == [(202, json.loads(text))]


@pytest.fixture(scope="module")
def way() -> None:
    """The tables here are the faces' own."""


@pytest.fixture(params=FACES, ids="-".join)
def edge(request: pytest.FixtureRequest) -> Edge:
    return Edge(*request.param)


# what passes, and what ends here


def test_headers_of_one_hop_end_here_on_both_sides(edge: Edge) -> None:
    hops = "Keep-Alive", "TE", "Trailer", "Upgrade", "Proxy-Authorization", "Proxy-Connection"
    lines = [f"{name}: x" for name in (*hops, "X-Named", "Cookie", "Expect")]
    edge.ask("Connection: keep-alive, X-Named", "X-Kept: y", *lines)
    heard = edge.pod.last
    names = {name.lower().decode() for name, _ in heard.headers}
    assert names.isdisjoint(one.lower() for one in (*hops, "X-Named", "Cookie", "Expect"))
    assert "connection" not in names and heard.all("x-kept") == [b"y"]
    assert heard.all("host") == [host(edge.face).encode()]
    theirs = "Keep-Alive", "Proxy-Authenticate", "Trailer", "Upgrade", "X-Theirs", "Set-Cookie"
    found = edge.answered(
        "Connection: keep-alive, X-Theirs", "X-Back: z", *[f"{t}: x" for t in theirs]
    )
    assert found.headers.keys().isdisjoint(name.lower().encode() for name in theirs)
    assert b"connection" not in found.headers and found.headers[b"x-back"] == b"z"


def test_a_header_that_comes_twice_passes_twice_and_in_its_order(edge: Edge) -> None:
    edge.ask("X-Many: 1", "X-Other: o", "X-Many: 2", "x-many: 1")
    heard = edge.pod.last
    assert heard.all("x-many") == [b"1", b"2", b"1"]
    assert [name for name, _ in heard.headers if name.lower().startswith(b"x-m")][-1] == b"x-many"
    edge.answered("X-Back: 1", "X-Back: 2", "x-back: 1")
    text = edge.client.link.value()
    assert text.index(b"X-Back: 1\r\nX-Back: 2\r\nx-back: 1\r\n") > 0


def test_who_calls_is_told_by_the_token_alone(edge: Edge) -> None:
    edge.ask(*[f"{name}: admin" for name in SPOOFED])
    heard = edge.pod.last
    assert {name.lower().decode() for name, _ in heard.headers}.isdisjoint(
        name.lower() for name in SPOOFED
    )
    assert b"admin" not in dict(heard.headers).values()
    assert heard.all("x-auth-token") == [TOKEN.encode()]
    assert heard.all("x-service-token") == []  # ours would lift the caller's access rules


def test_a_service_token_of_the_clients_own_passes_once_it_was_found_good(edge: Edge) -> None:
    edge.ask("X-Service-Token: our-own")
    assert edge.pod.last.all("x-service-token") == [b"our-own"]
    other = edge.world.client(edge.face)
    other.say(request(edge.show, MINE, "X-Service-Token: nonsense"))
    assert other.reply.status == 401 and len(edge.pod.asked) == 1


def test_what_a_stranger_says_was_forwarded_ends_here_and_a_proxys_passes(edge: Edge) -> None:
    edge = Edge(edge.face, "hot", Settings(service=ServiceSettings(proxies=PROXY)))
    lines = "X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "X-Forwarded-Host: evil.example"
    for peer, passes in (("192.0.2.1", False), (PROXY, True)):
        client = edge.world.client(edge.face, peer)
        client.say(request(edge.show, MINE, *lines))
        for line in lines:
            name, _, value = line.partition(": ")
            assert edge.pod.last.all(name) == ([value.encode()] if passes else [])
        edge.pod.say(reply(200, edge.shown))
        assert b"evil.example" not in client.link.value()


def test_the_clients_request_id_goes_to_the_pod_and_the_pods_comes_back(edge: Edge) -> None:
    mine, theirs = f"req-{ID}", f"req-{OTHER}"
    edge.ask(f"X-Openstack-Request-Id: {mine}")
    assert edge.pod.last.all("x-openstack-request-id") == [mine.encode()]
    found = edge.answered(f"X-Openstack-Request-Id: {theirs}")
    assert found.headers[b"x-openstack-request-id"] == theirs.encode()
    assert edge.client.link.value().lower().count(b"x-openstack-request-id") == 1


@pytest.mark.parametrize("sent", ["req-1", f"req-{ID}\xff", f"{ID}", f"req-{ID}, req-{ID}"])
def test_a_request_id_that_is_none_is_replaced(edge: Edge, sent: str) -> None:
    edge.ask(f"X-Openstack-Request-Id: {sent}")
    (id,) = edge.pod.last.all("x-openstack-request-id")
    assert len(id) == 40 and id != sent.encode("latin-1")


def test_an_answer_has_one_date_which_is_ours_and_names_no_server(edge: Edge) -> None:
    edge.ask()
    found = edge.answered("Date: Mon, 01 Jan 2001 00:00:00 GMT", "Server: theirs/1.0")
    assert edge.client.link.value().lower().count(b"\r\ndate: ") == 1
    assert b"2001" not in found.headers[b"date"] and b"server" not in found.headers


def test_a_cookie_of_a_pod_goes_to_nobody(edge: Edge) -> None:
    for token in (TOKEN, ADMIN):
        edge.client = edge.world.client(edge.face)
        edge.client.say(request(edge.show, f"X-Auth-Token: {token}"))
        assert edge.pod.last.all("cookie") == []
        found = edge.answered("Set-Cookie: session=1; Path=/", "Set-Cookie: other=2")
        assert b"set-cookie" not in found.headers


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_an_answer_and_its_location_ours(edge: Edge, status: int) -> None:
    path = GLANCE[20:] + edge.show if edge.face == "image" else f"/x{edge.show}"
    edge.ask()
    edge.pod.say(reply(status, None, f"Location: http://evil.example{path}", body=b""))
    edge.world.settle()
    assert edge.client.reply.status == status
    public = edge.world.sites[edge.face].face.url
    assert edge.client.reply.headers[b"location"].decode().startswith(f"{public}/v")
    asked = [server.asked for server in edge.world.servers.values()]
    assert sum(map(len, asked)) == 1 + len(edge.world.keystone.asked)


def test_codings_of_bodies_are_not_asked_for_and_images_pass_as_they_are(edge: Edge) -> None:
    edge.ask("Accept-Encoding: gzip, br")
    image = edge.face == "image"
    assert edge.pod.last.all("accept-encoding") == ([b"gzip, br"] if image else [])
    if image:
        edge.pod.say(reply(200, None, "Content-Encoding: gzip", body=b"\x1f\x8b\0\xff"))
        found = edge.client.reply
        assert (found.headers[b"content-encoding"], found.body) == (b"gzip", b"\x1f\x8b\0\xff")


# what is sent, and how often


def test_a_read_that_found_a_kept_connection_closed_is_sent_once_more(edge: Edge) -> None:
    edge.keeps_a_connection()
    edge.ask()
    edge.pod.last.link.close()
    edge.world.settle()
    assert len(edge.pod.asked) == 2 and edge.answered().status == 200
    assert len(edge.pod.asked) == 2


@pytest.mark.parametrize("method", ["", "DELETE"])
def test_what_changes_something_is_never_sent_twice(edge: Edge, method: str) -> None:
    edge.keeps_a_connection()
    edge.ask(method=method) if method else edge.write()
    edge.pod.last.link.close()
    edge.world.settle()
    assert len(edge.pod.asked) == 1
    edge.failed(PodTimeout(edge.name, ""))


def test_no_body_reaches_a_pod_before_it_is_whole(edge: Edge) -> None:
    method, target, _ = WRITES[edge.face]
    text = request(target, MINE, "Content-Type: application/json", method=method, body=b"{}")
    edge.client.say(*[text[at : at + 1] for at in range(len(text) - 1)])
    assert edge.pod.links == []
    edge.client.leave()
    edge.world.wait(100.0)
    assert edge.pod.links == []


def test_100_continue_is_ours_to_say(edge: Edge) -> None:
    method, target, document = WRITES[edge.face]
    body = json.dumps(document or {}).encode()
    lines = MINE, "Content-Type: application/json", "Expect: 100-continue"
    edge.client.say(request(target, *lines, f"Content-Length: {len(body)}", method=method))
    assert edge.client.link.value() == b"HTTP/1.1 100 Continue\r\n\r\n" and not edge.pod.links
    edge.client.say(body)
    assert edge.pod.last.body == body and edge.pod.last.all("expect") == []


# answers that are none


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n",
        b"HTTP/1.1 103 Early Hints\r\n\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_an_error_and_no_short_answer(edge: Edge, text: bytes) -> None:
    edge.ask()
    if text:
        edge.pod.say(text)
    edge.pod.last.link.close()
    edge.world.settle()
    edge.failed(PodTimeout(edge.name, ""))


def test_an_endless_answer_without_a_length_ends_with_its_time(edge: Edge) -> None:
    edge.ask()
    edge.pod.say(b"HTTP/1.1 200 OK\r\n\r\n")
    for _ in range(60):
        edge.pod.say(b" ")
        edge.world.wait(1.0)
    assert not edge.pod.last.link.open
    edge.failed(PodTimeout(edge.name, ""))


@pytest.mark.parametrize(
    "text",
    [
        b"what?\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{} ",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"2\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX-One: a\rSet-Two: b\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-One: a\0b\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX One: a\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nX-One : a\r\nContent-Length: 2\r\n\r\n{}",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_could_be_read_in_two_ways_is_no_answer(edge: Edge, text: bytes) -> None:
    edge.ask()
    edge.pod.say(text)
    edge.world.settle()
    assert not edge.pod.last.link.open
    edge.failed(PodTimeout(edge.name, ""))


def given_up_early(edge: Edge, more: bytes) -> None:
    """The pod goes on saying this, and is cut off before it has said it a thousand times."""
    for _ in range(1000):
        if edge.pod.last.link.open:
            edge.pod.say(more)
            edge.world.settle()
    assert not edge.pod.last.link.open
    edge.failed(PodTimeout(edge.name, ""))


def test_a_head_of_a_pod_that_never_ends_is_given_up_early(edge: Edge) -> None:
    edge.ask()
    edge.pod.say(b"HTTP/1.1 200 OK\r\nX: ")
    given_up_early(edge, b"y" * 65536)


@pytest.mark.parametrize("more", [b"X-%d: y\r\n", b"HTTP/1.1 103 Early Hints\r\nX-%d: y\r\n\r\n"])
def test_neither_are_there_endless_fields_or_hints(edge: Edge, more: bytes) -> None:
    edge.ask()
    if more.startswith(b"X"):
        edge.pod.say(b"HTTP/1.1 200 OK\r\n")
    given_up_early(edge, more % 1 * 1000)


def test_trailers_that_never_end_are_given_up_early(edge: Edge) -> None:
    edge.ask()
    edge.pod.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n")
    given_up_early(edge, b"X: y\r\n" * 1000)


def test_a_large_head_passes(edge: Edge) -> None:
    edge.ask()
    lines = [f"X-{number}: {'y' * 1000}" for number in range(60)]
    assert edge.answered(*lines).headers[b"x-59"] == b"y" * 1000


def test_what_comes_before_the_answer_is_not_passed_on(edge: Edge) -> None:
    edge.ask()
    for status in (100, 102, 103):
        edge.pod.say(b"HTTP/1.1 %d x\r\nLink: </a>\r\n\r\n" % status)
    assert edge.client.link.value() == b""
    found = edge.answered()
    assert found.status == 200 and b"link" not in found.headers


def test_trailers_end_here(edge: Edge) -> None:
    edge.ask()
    text = json.dumps(edge.shown).encode()
    edge.pod.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Later\r\n\r\n")
    edge.pod.say(b"%x;ext=1\r\n%s\r\n0\r\nX-Later: z\r\n\r\n" % (len(text), text))
    edge.world.settle()
    found = edge.client.reply
    assert json.loads(found.body) == edge.shown and b"x-later" not in found.headers


def test_a_second_answer_is_nobodys(edge: Edge) -> None:
    edge.ask()
    edge.pod.say(reply(200, edge.shown) + reply(200, {"evil": 1}))
    edge.world.settle()
    assert json.loads(edge.client.reply.body) == edge.shown
    edge.is_in_step()
    assert len(edge.pod.links) == 2  # the connection on which it came was given up


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_that_has_no_body_leaves_nothing_on_the_connection(
    edge: Edge, status: int
) -> None:
    edge.ask()
    edge.pod.say(b"HTTP/1.1 %d x\r\nContent-Length: 100\r\n\r\n" % status)
    edge.world.settle()
    assert edge.client.link.value().partition(b"\r\n\r\n")[2] == b""
    edge.client.link.clear()
    edge.is_in_step()


@pytest.mark.parametrize("status", [299, 418, 499, 599, 999])
def test_a_status_that_nobody_knows_passes(edge: Edge, status: int) -> None:
    edge.ask()
    edge.pod.say(reply(status, {"odd": 1}))
    edge.world.settle()
    assert (edge.client.reply.status, edge.client.reply.json) == (status, {"odd": 1})


def test_an_error_of_a_pod_passes_as_the_pod_wrote_it(edge: Edge) -> None:
    edge.ask()
    edge.pod.say(reply(409, None, "Content-Type: text/html", body=b"<h1>no</h1>"))
    edge.world.settle()
    found = edge.client.reply
    assert (found.status, found.body) == (409, b"<h1>no</h1>")
    assert found.headers[b"content-type"] == b"text/html"


@pytest.mark.parametrize(
    "text", [b"", b"{", b"[]", b"null", b'{"%s": 5}', b'{"%s": [1]}', b"\xff", b"[" * 10000]
)
def test_odd_json_of_a_pod_passes_or_is_an_error_in_shape(edge: Edge, text: bytes) -> None:
    edge.ask()
    edge.pod.say(reply(200, None, "Content-Type: application/json", body=text))
    edge.world.settle()
    assert edge.client.reply.status in (200, 504)
    edge.is_in_step()


# time, and who goes away


def test_an_answer_that_does_not_come_in_time(edge: Edge) -> None:
    edge.ask()
    edge.world.wait(59.9)
    assert edge.client.link.value() == b"" and edge.pod.last.link.open
    edge.world.wait(0.2)
    assert not edge.pod.last.link.open and len(edge.pod.asked) == 1
    edge.failed(PodTimeout(edge.name, ""))


def test_an_answer_that_drips_has_the_same_time_in_all(edge: Edge) -> None:
    edge.ask()
    for byte in reply(200, edge.shown)[:60]:
        edge.pod.say(bytes((byte,)))
        edge.world.wait(1.0)
    assert not edge.pod.last.link.open
    edge.failed(PodTimeout(edge.name, ""))


def test_a_read_ends_with_its_client(edge: Edge) -> None:
    edge.ask()
    edge.client.leave()
    assert not edge.pod.last.link.open and not edge.world.sites[edge.face].in_use


@pytest.mark.parametrize("method", ["", "DELETE"])
def test_what_changes_something_is_followed_to_its_end(edge: Edge, method: str) -> None:
    edge.ask(method=method) if method else edge.write()
    edge.client.leave()
    assert edge.pod.last.link.open and edge.world.sites[edge.face].in_use
    edge.pod.say(reply(202, {}))
    edge.world.settle()
    assert edge.pod.last.link.open and not edge.world.sites[edge.face].in_use
    assert len(edge.pod.asked) == 1


@pytest.mark.parametrize("face", ["compute", "volume", "network"])
def test_what_is_made_for_who_left_is_recorded(face: str) -> None:
    edge = Edge(face, "hot")
    for number in (1, 2):  # they say nothing of whether they have room
        server = edge.world.pod(face, number)
        server.says = lambda heard: reply(404, {}) if heard.method == "GET" else None
    body = json.dumps({edge.thing: {"name": "one", "size": 1}}).encode()
    kind = "Content-Type: application/json"
    edge.client.say(request(edge.list, MINE, kind, method="POST", body=body))
    asked = [one for n in (1, 2) for one in edge.world.pod(face, n).asked if one.method == "POST"]
    edge.client.leave()
    asked[0].link.say(reply(202, {edge.thing: {"id": OTHER}}))
    edge.world.settle()
    for number in (1, 2):
        edge.world.pod(face, number).asked.clear()
    edge.client = edge.world.client(face)
    edge.client.say(request(f"{edge.list}/{OTHER}", MINE))
    again = [one for n in (1, 2) for one in edge.world.pod(face, n).asked]
    # nothing is looked for: it is known where it is
    assert [one.all("x-service-token") for one in again] == [[]]
    assert again[0].all("host") == asked[0].all("host")


def test_calls_on_one_connection_are_answered_in_their_order(edge: Edge) -> None:
    edge.client.say(request(edge.show, MINE) * 3)
    for number in range(3):
        assert len(edge.pod.asked) == number + 1
        edge.pod.say(reply(200, edge.shown, f"X-Number: {number}"))
        edge.world.settle()
    found = [one.headers[b"x-number"] for one in edge.client.replies()]
    assert found == [b"0", b"1", b"2"]


# bounds


def test_a_pod_that_is_busy_is_no_reason_to_wait_without_end(edge: Edge) -> None:
    pods = PodsSettings(connections=1, project_connections=0)
    edge = Edge(edge.face, "hot", Settings(pods=pods))
    clients = [edge.world.client(edge.face) for _ in range(6)]
    for client in clients:
        edge.write(client)
    assert len(edge.pod.asked) == 1  # four wait for it, and the sixth does not
    edge.client = clients[-1]
    fault = PodUnavailable(edge.name, "")
    found = edge.client.reply
    assert found.status == 503 and found.headers[b"retry-after"] == b"10"
    assert found.body == edge.world.sites[edge.face].face.fault(fault).body
    for number in range(5):
        assert len(edge.pod.asked) == number + 1
        edge.pod.say(reply(202, {}))
        edge.world.settle()
    assert [client.reply.status for client in clients[:5]] == [202] * 5


def test_a_pod_that_fails_five_times_is_asked_no_more_for_a_while(edge: Edge) -> None:
    edge.pod.says = lambda heard: reply(503, {})
    for _ in range(5):
        edge.write(edge.world.client(edge.face))
    before = len(edge.pod.asked)
    edge.write()
    assert len(edge.pod.asked) == before
    assert edge.client.reply.status == 503 and edge.client.reply.headers[b"retry-after"] == b"10"


# bodies that are streamed

PIECE = b"x" * 65536


def _uploading(world: Edge, *lines: str) -> Heard:
    """A client that has begun to send an image; the half of it that came to Glance."""
    world.client.say(request(f"{world.show}/file", MINE, *lines, method="PUT"))
    (link,) = world.pod.links
    return Heard("PUT", b"", (), link.value(), link)


@pytest.fixture
def images() -> Edge:
    return Edge("image", "hot")


def test_an_upload_goes_no_faster_than_glance_takes_it(images: Edge) -> None:
    half = _uploading(images, f"Content-Length: {64 * len(PIECE)}")
    images.client.say(PIECE)
    half.link.producer.pauseProducing()
    sent = 1
    while images.client.link.producerState == "producing" and sent < 64:
        images.client.say(PIECE)
        sent += 1
    assert sent < 6
    taken = len(half.link.value())
    half.link.producer.resumeProducing()
    images.world.settle()
    assert images.client.link.producerState == "producing" and len(half.link.value()) > taken
    images.client.say(*[PIECE] * (64 - sent))
    assert images.pod.last.body == PIECE * 64
    images.pod.say(reply(204, None, body=b""))
    images.world.settle()
    assert images.client.reply.status == 204


def test_a_download_goes_no_faster_than_its_client_takes_it(images: Edge) -> None:
    images.client.say(request(f"{images.show}/file", MINE))
    link = images.pod.last.link
    link.say(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (64 * len(PIECE)), PIECE)
    images.world.settle()
    images.client.channel.pauseProducing()
    sent = 1
    while link.producerState == "producing" and sent < 64:
        link.say(PIECE)
        images.world.settle()
        sent += 1
    assert sent < 6
    images.client.channel.resumeProducing()
    images.world.settle()
    assert link.producerState == "producing"
    for _ in range(64 - sent):
        link.say(PIECE)
        images.world.settle()
    assert images.client.reply.body == PIECE * 64


@pytest.mark.parametrize("length", ["Content-Length: 100", "Transfer-Encoding: chunked"])
def test_half_an_upload_is_never_taken_for_a_whole(images: Edge, length: str) -> None:
    half = _uploading(images, length)
    images.client.say(b"a\r\n0123456789\r\n")
    images.client.leave()
    assert not half.link.open and images.pod.asked == []
    assert b"\r\n0\r\n\r\n" not in half.link.value()


@pytest.mark.parametrize(
    "head", [b"Content-Length: 100\r\n", b"Transfer-Encoding: chunked\r\n", b""]
)
def test_half_a_download_is_never_taken_for_a_whole(images: Edge, head: bytes) -> None:
    images.client.say(request(f"{images.show}/file", MINE))
    images.pod.say(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n", b"a\r\n0123456789\r\n")
    images.world.settle()
    assert b"0123456789" in images.client.link.value() and not images.client.link.disconnected
    images.pod.last.link.close()
    images.world.settle()
    assert images.client.link.disconnected
    assert not images.client.link.value().endswith(b"0\r\n\r\n")


def test_a_download_whose_client_leaves_is_fetched_no_further(images: Edge) -> None:
    images.client.say(request(f"{images.show}/file", MINE))
    images.pod.say(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", b"x")
    images.world.settle()
    images.client.leave()
    assert not images.pod.last.link.open


def test_an_upload_that_glance_refuses_early_is_answered_and_read_to_its_end(images: Edge) -> None:
    half = _uploading(images, f"Content-Length: {4 * len(PIECE)}")
    half.link.say(reply(409, {"no": 1}, "Connection: close"))
    images.world.settle()
    assert images.client.reply.status == 409 and not images.client.closed
    assert images.client.reply.headers[b"connection"] == b"close"
    images.client.say(*[PIECE] * 4)
    assert images.client.closed and not half.link.open


# tokens and access rules


def test_a_401_tells_where_keystone_is(edge: Edge) -> None:
    edge.client.say(request(edge.show, "X-Auth-Token: no-such"), request(edge.show))
    for found in edge.client.replies():
        assert found.status == 401 and found.json["error"]["code"] == 401
        told = f'Keystone uri="{"http://keystone:5000/v3"}"'.encode()
        assert found.headers[b"www-authenticate"] == told
    assert edge.pod.links == []


def test_a_token_is_asked_about_once_by_however_many(edge: Edge) -> None:
    world, says = edge.world, edge.world.keystone.says
    world.keystone.asked.clear()
    world.keystone.says = lambda heard: None
    for _ in range(5):
        world.client(edge.face).say(request(edge.show, MINE))
    assert len(world.keystone.asked) == 1 and edge.pod.asked == []
    world.keystone.say(says(world.keystone.last))
    world.settle()
    assert len(edge.pod.asked) == 5
    edge.ask()
    assert len(world.keystone.asked) == 1


def test_while_keystone_is_away_a_new_token_is_no_wrong_one(edge: Edge) -> None:
    edge.world.keystone.says = lambda heard: None
    edge.ask()
    edge.world.wait(15.1)
    assert edge.client.reply.status == 503 and edge.pod.links == []
    assert b"www-authenticate" not in edge.client.reply.headers


@pytest.mark.parametrize("says", [b"{}", b"[]", b'{"token": 5}', b"no json", b'{"token": {}}'])
def test_nonsense_of_keystones_lets_nobody_in(edge: Edge, says: bytes) -> None:
    edge.world.keystone.says = lambda heard: reply(200, None, "Content-Type: x/y", body=says)
    edge.ask()
    assert edge.client.reply.status == 503 and edge.pod.links == []


@pytest.mark.parametrize(
    ("path", "method", "status"), [("", "GET", 200), ("x", "GET", 401), ("", "DELETE", 401)]
)
def test_access_rules_hold_before_anything_is_sent(
    edge: Edge, path: str, method: str, status: int
) -> None:
    says = edge.world.keystone.says

    def bound(heard: Heard) -> bytes:
        text = says(heard)
        assert text is not None
        if heard.method == "GET" and heard.target.startswith(b"/v3/auth/tokens"):
            document = json.loads(text.partition(b"\r\n\r\n")[2])
            kind = edge.world.sites[edge.face].face.types[0]
            rule = {"service": kind, "method": "GET", "path": edge.show + path}
            document["token"]["application_credential"] = {"access_rules": [rule]}
            return reply(200, document)
        return text

    edge.world.keystone.says = bound
    edge.ask(method=method)
    if status == 200:
        assert edge.pod.last.all("x-service-token") == []
        assert edge.answered().status == 200
    else:
        assert edge.client.reply.status == status and edge.pod.links == []


@pytest.mark.parametrize("face", ["compute", "volume", "network"])
def test_what_we_ask_for_a_caller_has_our_token_beside_its_own(face: str) -> None:
    """To look for an id is our own call: the caller's access rules do not bind it."""
    edge = Edge(face, "hot")
    edge.client.say(request(f"{edge.list}/{OTHER}", MINE))
    for number in (1, 2):
        heard = edge.world.pod(face, number).last
        assert heard.all("x-service-token") == [b"our-own"]
        assert heard.all("x-auth-token") == [TOKEN.encode()]
        edge.world.pod(face, number).says = lambda heard: reply(404, {})
        edge.world.pod(face, number).say(reply(404, {}))
    edge.world.settle()
    assert edge.client.reply.status == 404
    (last,) = [
        one
        for n in (1, 2)
        for one in edge.world.pod(face, n).asked
        if not one.all("x-service-token")
    ]
    assert last.method == "GET"  # the caller's own call, which the pod refuses in its words


# lists


LISTS = [
    ("compute", "hot"),
    ("compute", "long"),
    ("volume", "hot"),
    ("volume", "long"),
    ("network", "hot"),
]


@pytest.fixture(params=LISTS, ids="-".join)
def lists(request: pytest.FixtureRequest) -> Edge:
    edge = Edge(*request.param)
    edge.client.say(_list(edge))
    return edge


def _list(edge: Edge) -> bytes:
    return request(edge.list, MINE, "X-Kept: y", "Connection: X-Named", "X-Named: x", "X-Roles: r")


def _rows(edge: Edge, *ids: str) -> bytes:
    rows = [{"id": id, "name": "n", "links": []} for id in ids]
    return reply(200, {f"{edge.thing}s": rows}, "Set-Cookie: a=b", "X-Theirs: x")


def test_every_pod_is_asked_as_one_would_be(lists: Edge) -> None:
    for number in (1, 2):
        heard = lists.world.pod(lists.face, number).last
        assert heard.all("x-kept") == [b"y"] and heard.all("x-auth-token") == [TOKEN.encode()]
        names = {name.lower() for name, _ in heard.headers}
        assert names.isdisjoint((b"x-named", b"connection", b"x-roles", b"x-service-token"))
        assert heard.all("host") == [host(lists.face, number).encode()]
        lists.world.pod(lists.face, number).say(_rows(lists, ID))
    lists.world.settle()
    found = lists.client.reply
    assert found.status == 200 and len(found.json[f"{lists.thing}s"]) == 2
    assert b"set-cookie" not in found.headers


@pytest.mark.parametrize(
    "text",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{",
        b"nonsense\r\n\r\n",
        reply(200, []),
        reply(200, {"servers": 5, "volumes": 5, "networks": 5}),
        reply(200, {"servers": [5], "volumes": [5], "networks": [5]}),
        reply(200, {"servers": [{}], "volumes": [{}], "networks": [{}]}),
        reply(200, None, body=b"[" * 5000),
        reply(503, {}),
    ],
)
def test_a_pod_that_lists_nonsense_is_left_out_and_named(lists: Edge, text: bytes) -> None:
    lists.world.pod(lists.face, 2).say(_rows(lists, ID))
    lists.pod.say(text)
    lists.pod.last.link.close()
    lists.world.settle()
    found = lists.client.reply
    assert found.status == 200 and found.headers[b"x-trio2o-unavailable-pods"] == b"Pod1"
    assert [row["id"] for row in found.json[f"{lists.thing}s"]] == [ID]
    lists.is_in_step()


def test_a_pod_that_does_not_answer_in_time_is_left_out_and_named(lists: Edge) -> None:
    lists.world.pod(lists.face, 2).say(_rows(lists, ID))
    lists.world.wait(20.1)
    found = lists.client.reply
    assert found.status == 200 and found.headers[b"x-trio2o-unavailable-pods"] == b"Pod1"
    assert not lists.pod.last.link.open


def test_a_list_whose_client_leaves_is_asked_for_no_more(lists: Edge) -> None:
    lists.client.leave()
    assert not any(lists.world.pod(lists.face, n).last.link.open for n in (1, 2))
    assert not lists.world.sites[lists.face].in_use


SUMS = {
    "compute": ("/v2.1/limits", {"limits": {"rate": [], "absolute": {"maxTotalCores": 5}}}),
    "volume": ("/v3/limits", {"limits": {"rate": [], "absolute": {"maxTotalVolumes": 5}}}),
    "network": (f"/v2.0/quotas/{PROJECT}", {"quota": {"port": 5}}),
}


@pytest.mark.parametrize("face", SUMS)
@pytest.mark.parametrize("odd", [{}, {"limits": 5, "quota": 5}, {"limits": {}, "quota": [1]}, []])
def test_a_pod_whose_sums_are_nonsense_is_left_out_and_named(face: str, odd: Any) -> None:
    edge = Edge(face, "hot")
    target, good = SUMS[face]
    edge.client.say(request(target, MINE))
    for number, document in ((1, odd), (2, good)):
        edge.world.pod(face, number).say(reply(200, document))
    edge.world.settle()
    found = edge.client.reply
    assert (found.status, json.loads(found.body)) == (200, good)
    assert found.headers[b"x-trio2o-unavailable-pods"] == b"Pod1"
