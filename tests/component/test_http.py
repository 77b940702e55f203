"""HTTP at the edge: what passes, what ends here, and what is refused."""

import json
import re
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
import requests
from appliance import BODY, FACES, Appliance, Client, eventually
from fakes import FakePod
from test_servers import SERVERS, wish

REQUEST_ID = re.compile(r"req-[0-9a-f-]{36}")


def say(appliance: Appliance, face: str, *pieces: bytes, wait: float = 5.0) -> bytes:
    """Send bytes as they are; all that comes back until the other side closes."""
    with socket.create_connection(("127.0.0.1", appliance.ports[face]), wait) as link:
        for piece in pieces:
            link.sendall(piece)
        answer = b""
        while more := link.recv(65536):
            answer += more
        return answer


def head(target: str, *lines: str, method: str = "GET") -> bytes:
    """A request's head that ends its connection."""
    start = f"{method} {target} HTTP/1.1", "Host: x", "Connection: close"
    return "\r\n".join((*start, *lines, "", "")).encode("latin-1")


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return found


def test_hop_by_hop_headers_end_here(demo: Client, pod1: FakePod, appliance: Appliance) -> None:
    server = demo.server("az1")
    lines = [
        f"X-Auth-Token: {demo.token}",
        "Connection: X-Private, keep-alive",
        "X-Private: 1",
        "Keep-Alive: timeout=5",
        "TE: trailers",
        "Trailer: X-Later",
        "Upgrade: h2c",
        "Proxy-Authorization: Basic eDp5",
        "Proxy-Connection: close",
        "X-Kept: yes",
        "Cookie: a=b",
    ]
    answer = say(appliance, "compute", head(f"{SERVERS}/{server}", *lines))
    assert status(answer) == 200
    call = pod1.calls_to("GET", server)[-1]
    names = {name.lower().decode() for name, _ in call.headers}
    assert call.header("X-Kept") == "yes"
    gone = {line.partition(":")[0].lower() for line in lines[2:9]} | {"cookie"}
    assert not names & gone
    assert "X-Private" not in call.header("Connection")
    assert call.header("Host") == pod1.compute.url.removeprefix("http://")


def test_every_connection_header_counts(demo: Client, pod1: FakePod, appliance: Appliance) -> None:
    server = demo.server("az1")
    lines = [f"X-Auth-Token: {demo.token}", "Connection: X-Second", "X-Second: 1"]
    assert status(say(appliance, "compute", head(f"{SERVERS}/{server}", *lines))) == 200
    assert not pod1.calls_to("GET", server)[-1].header("X-Second")


def test_a_pods_cookie_goes_nowhere(demo: Client, pod1: FakePod) -> None:
    pod1.set_cookie = "session=1; Path=/"
    server = demo.server("az1")
    with requests.Session() as session:
        session.headers["X-Auth-Token"] = demo.token
        for _ in range(3):
            for path in (f"{SERVERS}/{server}", SERVERS):
                answer = session.get(demo.appliance.url("compute") + path)
                assert answer.status_code == 200
                assert "Set-Cookie" not in answer.headers
    assert len(pod1.calls_to("GET", "servers")) == 6
    assert not [call for call in pod1.calls if call.header("Cookie")]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_a_pods_redirect_is_never_followed(
    demo: Client, pod1: FakePod, pod2: FakePod, method: str
) -> None:
    server = demo.server("az1")
    pod1.serve_redirect = f"{pod2.compute.url}/elsewhere"
    pod1.when = lambda call: server in call.path
    text = json.dumps({"server": {"name": "n"}}) if method in ("PUT", "POST") else None
    path = f"{SERVERS}/{server}" + ("/metadata" if method == "POST" else "")
    headers = {"Content-Type": "application/json"}
    answer = demo.ask(method, "compute", path, data=text, headers=headers)
    assert answer.status_code in (302, 502)
    assert pod2.compute.url not in str(answer.headers)
    assert not [call for call in pod2.calls if "elsewhere" in call.path]
    assert len(pod1.calls_to(method, path)) == 1


def test_links_do_not_depend_on_the_host_header(demo: Client, appliance: Appliance) -> None:
    server = demo.server("az1")
    headers = {"Host": "evil.example", "X-Forwarded-Host": "evil.example"}
    for path in ("/", "/v2.1/", SERVERS, f"{SERVERS}/{server}"):
        answer = demo.ask("GET", "compute", path, headers=headers)
        assert answer.ok
        assert "evil.example" not in answer.text + str(answer.headers)
        assert appliance.public("compute") in answer.text


@pytest.mark.parametrize(
    ("method", "path", "sent"),
    [
        ("POST", SERVERS, wish(availability_zone="az1")),
        ("DELETE", f"{SERVERS}/{{server}}", None),
        ("PUT", f"{SERVERS}/{{server}}", {"server": {"name": "n"}}),
        ("POST", f"{SERVERS}/{{server}}/action", {"os-stop": None}),
    ],
)
def test_what_changes_something_is_never_sent_twice(
    demo: Client, pod1: FakePod, method: str, path: str, sent: object
) -> None:
    server = demo.server("az1")
    demo.get("compute", f"{SERVERS}/{server}")  # a connection is kept, as in life
    before = len(pod1.calls_to(method))
    pod1.reset_after_request = True
    answer = demo.ask(method, "compute", path.format(server=server), sent)
    assert answer.status_code in (500, 502, 504)
    assert list(answer.json()) == ["computeFault"]
    assert "Pod1" in answer.json()["computeFault"]["message"]
    assert len(pod1.calls_to(method)) == before + 1


def test_what_was_made_unheard_is_found_again(demo: Client, pod1: FakePod) -> None:
    pod1.reset_after_request = True
    answer = demo.ask("POST", "compute", SERVERS, wish(availability_zone="az1"))
    assert answer.status_code >= 500
    pod1.reset_after_request = False
    (server,) = pod1.rows["servers"]
    assert demo.ids("compute", SERVERS) == [server]
    assert demo.get("compute", f"{SERVERS}/{server}")["server"]["name"] == "one"
    assert demo.ask("DELETE", "compute", f"{SERVERS}/{server}").status_code == 204


def test_a_kept_connection_that_was_closed_costs_a_read_nothing(
    demo: Client, pod1: FakePod
) -> None:
    server = demo.server("az1")
    demo.get("compute", f"{SERVERS}/{server}")
    for channel in list(pod1.compute.channels):
        channel.transport.reactor.callFromThread(channel.transport.abortConnection)
    assert demo.get("compute", f"{SERVERS}/{server}")["server"]["id"] == server


def test_a_client_that_leaves_does_not_stop_its_create(
    demo: Client, pod1: FakePod, appliance: Appliance, admin: Client
) -> None:
    pod1.delay = 0.6
    data = json.dumps(wish(availability_zone="az1"))
    lines = [f"X-Auth-Token: {demo.token}", "Content-Type: application/json"]
    text = head(SERVERS, *lines, f"Content-Length: {len(data)}", method="POST") + data.encode()
    with socket.create_connection(("127.0.0.1", appliance.ports["compute"])) as link:
        link.sendall(text)
        eventually(lambda: pod1.calls_to("POST"))
    eventually(lambda: pod1.rows["servers"])
    time.sleep(0.8)
    pod1.delay = 0
    (server,) = pod1.rows["servers"]
    since = len(pod1.calls)
    demo.get("compute", f"{SERVERS}/{server}")
    # it was recorded: nothing had to be looked for
    assert not [call for call in pod1.calls[since:] if call.header("X-Service-Token")]


def test_a_read_ends_with_its_client(demo: Client, pod1: FakePod, appliance: Appliance) -> None:
    server = demo.server("az1")
    pod1.hang = True
    text = head(f"{SERVERS}/{server}", f"X-Auth-Token: {demo.token}")
    with socket.create_connection(("127.0.0.1", appliance.ports["compute"])) as link:
        link.sendall(text)
        eventually(lambda: pod1.calls_to("GET", server))
    pod1.hang = False
    assert demo.get("compute", f"{SERVERS}/{server}")["server"]["id"] == server


def test_a_body_that_is_too_large_is_413_before_it_is_read(
    appliance: Appliance, demo: Client, pod1: FakePod
) -> None:
    lines = [f"X-Auth-Token: {demo.token}", "Content-Type: application/json"]
    announced = head(SERVERS, *lines, f"Content-Length: {BODY + 1}", method="POST")
    answer = say(appliance, "compute", announced)
    assert status(answer) == 413
    assert list(body(answer)) == ["overLimit"]
    chunk = b"%x\r\n%s\r\n" % (BODY, b"x" * BODY)
    chunked = head(SERVERS, *lines, "Transfer-Encoding: chunked", method="POST")
    answer = say(appliance, "compute", chunked, chunk, b"1\r\nx\r\n")
    assert status(answer) == 413
    assert not pod1.calls_to("POST")
    fits = json.dumps(wish(availability_zone="az1", pad="x" * (BODY - 200)))
    assert demo.ask("POST", "compute", SERVERS, data=fits).status_code == 202


def test_a_chunked_body_is_taken(demo: Client, pod1: FakePod) -> None:
    text = json.dumps(wish(availability_zone="az1")).encode()
    headers = {"Content-Type": "application/json"}
    answer = demo.ask("POST", "compute", SERVERS, data=iter([text[:7], text[7:]]), headers=headers)
    assert answer.status_code == 202
    assert pod1.calls_to("POST")[0].header("Content-Length")


@pytest.mark.parametrize("text", [b"{", b"", b"\xff\xfe", b'{"server": }', b"[" * 30000])
@pytest.mark.parametrize(
    ("face", "path", "key"),
    [
        ("compute", SERVERS, "badRequest"),
        ("volume", "/v3/volumes", "badRequest"),
        ("network", "/v2.0/networks", "NeutronError"),
    ],
)
def test_malformed_json_is_400(
    demo: Client, pod1: FakePod, text: bytes, face: str, path: str, key: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = demo.ask("POST", face, path, data=text, headers=headers)
    assert (answer.status_code, list(answer.json())) == (400, [key])
    assert not pod1.rows["servers"]


@pytest.mark.parametrize("text", ["1", "[]", '"x"', "null", '{"server": 1}', '{"server": null}'])
def test_json_of_the_wrong_shape_is_400(demo: Client, pod1: FakePod, text: str) -> None:
    headers = {"Content-Type": "application/json"}
    for face, path in (("compute", SERVERS), ("volume", "/v3/volumes")):
        sent = text.replace("server", "volume") if face == "volume" else text
        answer = demo.ask("POST", face, path, data=sent, headers=headers)
        assert (answer.status_code, list(answer.json())) == (400, ["badRequest"])
    assert not pod1.rows["servers"] and not pod1.rows["volumes"]


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/xml", "multipart/form-data; boundary=b"]
)
def test_another_content_type_is_415(demo: Client, pod1: FakePod, kind: str) -> None:
    text = json.dumps(wish())
    answer = demo.ask("POST", "compute", SERVERS, data=text, headers={"Content-Type": kind})
    assert (answer.status_code, list(answer.json())) == (415, ["badMediaType"])
    assert not pod1.calls_to("POST")
    kind = "application/json; charset=utf-8"
    answer = demo.ask("POST", "compute", SERVERS, data=text, headers={"Content-Type": kind})
    assert answer.status_code == 202


def test_the_clients_request_id_reaches_the_pod_and_the_pods_the_client(
    demo: Client, pod1: FakePod
) -> None:
    server = demo.server("az1")
    own = f"req-{uuid.uuid4()}"
    path = f"{SERVERS}/{server}"
    answer = demo.ask("GET", "compute", path, headers={"X-Openstack-Request-Id": own})
    assert pod1.calls_to("GET", server)[-1].header("X-Openstack-Request-Id") == own
    theirs = answer.headers["X-Openstack-Request-Id"]
    assert REQUEST_ID.fullmatch(theirs) and theirs != own
    assert answer.headers["X-Compute-Request-Id"] == theirs


def test_an_answer_of_ours_has_the_calls_request_id(demo: Client) -> None:
    own = f"req-{uuid.uuid4()}"
    for path in ("/v2.1/os-availability-zone", "/v2.1/nothing", "/v2.1/os-keypairs"):
        answer = demo.ask("GET", "compute", path, headers={"X-Openstack-Request-Id": own})
        assert answer.headers["X-Openstack-Request-Id"] == own, path
    answer = demo.ask("GET", "compute", "/v2.1/nothing")
    assert REQUEST_ID.fullmatch(answer.headers["X-Openstack-Request-Id"])


@pytest.mark.parametrize("id", ["req-1", "x" * 300, "req-" + "g" * 36, "req-a b"])
def test_a_request_id_that_is_none_is_replaced(demo: Client, pod1: FakePod, id: str) -> None:
    server = demo.server("az1")
    demo.ask("GET", "compute", f"{SERVERS}/{server}", headers={"X-Openstack-Request-Id": id})
    sent = pod1.calls_to("GET", server)[-1].header("X-Openstack-Request-Id")
    assert REQUEST_ID.fullmatch(sent)


def test_a_failure_is_found_in_the_log_by_its_request_id(demo: Client, pod1: FakePod) -> None:
    server = demo.server("az1")
    pod1.down()
    answer = demo.ask("GET", "compute", f"{SERVERS}/{server}")
    assert answer.status_code == 503
    id = answer.headers["X-Openstack-Request-Id"]
    line = next(line for line in demo.appliance.log().splitlines() if id in line)
    assert "Pod1" in line and server in line


TRICKS = [
    "/v2.1%2Fservers%2Fabc",
    "/v2.1/servers/%2e%2e",
    "/v2.1/servers/..",
    "/v2.1/./servers",
    "/v2.1//servers",
    "//v2.1/servers",
    "/v2.1/servers/a%0d%0ab",
    "/v2.1/servers/%00",
    "/v2.1/servers/%5C..",
    "/v2.1/servers/%zz",
    "/v2.1/servers/%ff",
    "/v2.1/servers\\x",
    "http://other/v2.1/servers",
    "*",
]


@pytest.mark.parametrize("target", TRICKS)
def test_paths_with_tricks_are_400(
    appliance: Appliance, demo: Client, pod1: FakePod, pod2: FakePod, target: str
) -> None:
    answer = say(appliance, "compute", head(target, f"X-Auth-Token: {demo.token}"))
    assert status(answer) == 400
    assert list(body(answer)) == ["badRequest"]
    assert not [c for p in (pod1, pod2) for c in p.calls if c.header("X-Auth-Token") == demo.token]


TWO_WAYS = [
    ("GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    ("get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ("GET /\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400),
    (
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        400,
    ),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400),
    ("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;x=y\r\nx\r\n", 400),
    ("GET / HTTP/1.1\r\nHost: a\r\nX: " + "x" * 17000 + "\r\n\r\n", 431),
    ("GET / HTTP/1.1\r\nHost: a\r\n" + ("X: " + "y" * 100 + "\r\n") * 200 + "\r\n", 431),
    ("GET /" + "x" * 20000 + " HTTP/1.1\r\nHost: a\r\n\r\n", 431),
]


@pytest.mark.parametrize(("raw", "expected"), TWO_WAYS)
def test_what_could_be_read_in_two_ways_is_refused_and_closed(
    appliance: Appliance, raw: str, expected: int
) -> None:
    follow = "GET /v2.1/ HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = say(appliance, "compute", (raw + follow).encode("latin-1"))
    assert status(answer) == expected
    assert answer.count(b"HTTP/1.1 ") == 1  # what follows is not served
    assert body(answer)


@pytest.mark.parametrize("face", FACES)
def test_every_face_refuses_what_could_be_read_in_two_ways(
    appliance: Appliance, admin: Client, face: str
) -> None:
    token = f"X-Auth-Token: {admin.token}"
    odd = [(head(target, token), 400) for target in TRICKS]
    odd += [(raw.encode("latin-1"), expected) for raw, expected in TWO_WAYS]
    odd += [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX_Roles: admin\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
    ]
    for raw, expected in odd:
        answer = say(appliance, face, raw)
        assert status(answer) == expected, (raw, answer)
        assert b"\r\ncontent-type: application/json" in answer.lower()
        assert b"\r\nx-openstack-request-id: req-" in answer.lower()
        assert b"\r\nlocation:" not in answer.lower()
        assert body(answer)


@pytest.mark.parametrize(
    ("face", "path"),
    [
        ("compute", "/v2.1/servers/"),
        ("volume", "/v3/volumes/"),
        ("network", "/v2.0/networks/"),
        ("admin", "/v1.0/pods/"),
    ],
)
def test_a_slash_at_the_end_redirects_nobody(
    demo: Client, admin: Client, face: str, path: str
) -> None:
    answer = admin.ask("GET", face, path)
    assert answer.status_code in (200, 404)
    assert answer.headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("face", ["admin", "compute", "volume", "network", "image"])
def test_errors_are_json_in_every_face(appliance: Appliance, admin: Client, face: str) -> None:
    for answer in (
        admin.ask("GET", face, "/no/such/thing"),
        admin.ask("DELETE", face, "/"),
        appliance.request("GET", face, "/%2e%2e/x", headers={"Host": "a"}),
    ):
        assert 400 <= answer.status_code < 500
        assert answer.headers["Content-Type"].startswith("application/json"), answer.url
        assert answer.json()


def test_a_head_that_drips_is_given_up(appliance: Appliance) -> None:
    with socket.create_connection(("127.0.0.1", appliance.ports["compute"]), 6) as link:
        link.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        begun = time.monotonic()
        answer = b""
        while time.monotonic() - begun < 5 and not answer:
            link.settimeout(0.25)
            try:
                link.sendall(b"X: y\r\n")
                answer = link.recv(4096)
            except TimeoutError:
                continue
    assert status(answer) == 408
    assert 1.5 < time.monotonic() - begun < 3.5  # limits.header_seconds is 2


def test_a_body_that_drips_is_given_up(appliance: Appliance, demo: Client) -> None:
    lines = [f"X-Auth-Token: {demo.token}", "Content-Type: application/json"]
    begun = time.monotonic()
    answer = say(
        appliance, "compute", head(SERVERS, *lines, "Content-Length: 100", method="POST"), b"{"
    )
    assert status(answer) == 408
    assert 1.5 < time.monotonic() - begun < 3.5


def test_pipelined_requests_are_answered_in_order(appliance: Appliance, demo: Client) -> None:
    one, two = demo.server("az1"), demo.server("az2")
    heads = [
        f"GET {SERVERS}/{id} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {demo.token}\r\n\r\n"
        for id in (one, two)
    ]
    last = head("/v2.1/", f"X-Auth-Token: {demo.token}")
    answer = say(appliance, "compute", "".join(heads).encode() + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 3
    assert answer.index(one.encode()) < answer.index(two.encode()) < answer.index(b"media-types")


def test_a_pods_encoding_is_asked_plain(demo: Client, pod1: FakePod) -> None:
    server = demo.server("az1")
    demo.ask("GET", "compute", f"{SERVERS}/{server}", headers={"Accept-Encoding": "gzip, br"})
    assert pod1.calls_to("GET", server)[-1].header("Accept-Encoding") in ("", "identity")


def test_an_answer_that_breaks_off_is_an_error(demo: Client, pod1: FakePod) -> None:
    server = demo.server("az1")
    pod1.break_off = True
    answer = demo.ask("GET", "compute", f"{SERVERS}/{server}")
    assert answer.status_code in (502, 504)
    assert list(answer.json()) == ["computeFault"]


def test_many_calls_at_once_are_all_served(demo: Client, pod1: FakePod) -> None:
    server = demo.server("az1")
    with ThreadPoolExecutor(20) as threads:
        path = f"{SERVERS}/{server}"
        answers = list(threads.map(lambda _: demo.ask("GET", "compute", path), range(100)))
    assert [answer.status_code for answer in answers] == [200] * 100
