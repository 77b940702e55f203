"""HTTP received strictly: what one reader could take for two things is refused."""

from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from attrs import evolve
from edge import LIMITS, Client, request
from hypothesis import assume, given
from hypothesis import strategies as st

from trio2o.domain.errors import BadRequest
from trio2o.web._head import METHODS, check_path

NEXT = request("/v1/things")


def heard(*pieces: bytes, **limits: Any) -> Client:
    client = Client(evolve(LIMITS, **limits))
    client.say(*pieces)
    return client


@pytest.mark.parametrize("method", sorted(METHODS - {b"HEAD", b"POST"}))
def test_a_known_method_is_served(method: bytes) -> None:
    client = heard(request("/v1/things/x", method=method.decode()))
    assert (client.reply.status, client.reply.body) == (200, b"yes")
    assert [(call.method, call.path) for call in client.calls] == [
        (method.decode(), b"/v1/things/x")
    ]
    assert not client.closed


@pytest.mark.parametrize("method", ["get", "Get", "BREW", "TRACE", "CONNECT", "PRI", "GETT"])
def test_a_method_that_is_not_known_is_501(method: str) -> None:
    client = heard(request("/v1/things", method=method) + NEXT)
    assert client.refused(501) == "The method is not known."


@pytest.mark.parametrize(
    "target",
    [
        "/v1%2Fthings%2Fabc",
        "/v1%2fthings",
        "/v1/things/%2e%2e",
        "/v1/things/.%2E/x",
        "/v1/things/..",
        "/v1/./things",
        "/v1/things/.",
        "/v1//things",
        "//v1/things",
        "/v1/things//",
        "/v1/things/a%0d%0ab",
        "/v1/things/%00",
        "/v1/things/%1f",
        "/v1/things/%7F",
        "/v1/things/%5C..",
        "/v1/things/%5c",
        "/v1/things\\x",
        "/v1/things/%zz",
        "/v1/things/%a",
        "/v1/things/%",
        "/v1/things/%ff",
        "/v1/things/%c0%ae%c0%ae",
        "/v1/things#x",
        "/v1/things?a#x",
        "http://other/v1/things",
        "other:80",
        "*",
        "v1/things",
    ],
)
def test_a_path_with_tricks_is_400(target: str) -> None:
    client = heard(request(target) + NEXT)
    assert client.refused(400) == "Malformed request URL"


@pytest.mark.parametrize(
    "target", ["/v1/things/a%20b", "/v1/things/%C3%A9", "/v1/things/...", "/v1/things/a..b"]
)
def test_a_path_that_is_odd_but_plain_reaches_the_face_as_it_was_written(target: str) -> None:
    client = heard(request(f"{target}?x=%2F..//&y"))
    assert client.reply.status == 200
    assert (client.calls[0].path, client.calls[0].query) == (target.encode(), b"x=%2F..//&y")


@given(st.text("/.%2eEfFcC5\\a0", max_size=12).map(lambda text: b"/" + text.encode()))
def test_no_path_that_passes_climbs_or_has_an_empty_segment(target: bytes) -> None:
    try:
        check_path(target)
    except BadRequest:
        return
    seen = target
    for _ in range(2):  # as it stands, and as a reader behind us decodes it
        segments = seen.split(b"/")
        assert b".." not in segments and b"." not in segments
        assert b"" not in segments[1:-1]
        assert b"\\" not in seen
        seen = unquote_to_bytes(seen)


@given(st.text("%01dDaAfF789x", max_size=8).map(str.encode) | st.binary(max_size=9))
def test_no_path_that_is_served_holds_a_control_character(rest: bytes) -> None:
    client = heard(b"GET /v1/things/x" + rest + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    for call in client.calls:
        assert all(byte > 31 and byte != 127 for byte in unquote_to_bytes(call.path)), call.path


@pytest.mark.parametrize("byte", [*range(33), *range(127, 256)])
@pytest.mark.parametrize("mark", ["/", "?"])
def test_bytes_beyond_plain_ascii_in_a_target_are_400(byte: int, mark: str) -> None:
    heard(request(f"/v1/things{mark}x{chr(byte)}y") + NEXT).refused(400)


@pytest.mark.parametrize("lines", [[], ["Host: a", "Host: a"], ["Host: a", "host: b"]])
def test_a_request_has_one_host(lines: list[str]) -> None:
    text = "\r\n".join(("GET /v1/things HTTP/1.1", *lines, "", "")).encode()
    assert heard(text + NEXT).refused(400) == "A request has one Host header"


def test_http_1_0_needs_no_host_and_is_closed_after_its_answer() -> None:
    client = heard(b"GET /v1/things HTTP/1.0\r\n\r\n")
    assert (client.reply.status, client.reply.body) == (200, b"yes")
    assert client.closed


@pytest.mark.parametrize(
    "raw",
    [
        "GET /v1/things\r\n\r\n",
        "GET  /v1/things HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v1/things HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET\t/v1/things HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v1/things HTTP/2.0\r\nHost: a\r\n\r\n",
        "GET /v1/things HTTP/1.10\r\nHost: a\r\n\r\n",
        "GET /v1/things http/1.1\r\nHost: a\r\n\r\n",
        " GET /v1/things HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /v1/things HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET /v1/things HTTP/1.1\r\nHost: a\r\nX\0: a\r\n\r\n",
        "GET /v1/things HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET /v1/things HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n",
        "GET /v1/things HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET /v1/things HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n",
        "GET /v1/things HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n",
        "GET /v1/things HTTP/1.1\r\nHost: a\r\nX(y): a\r\n\r\n",
    ],
)
def test_a_head_that_is_not_well_formed_is_400(raw: str) -> None:
    heard(raw.encode("latin-1") + NEXT).refused(400)


@pytest.mark.parametrize("fold", [" b", "\tb", " "])
def test_a_folded_header_line_is_refused(fold: str) -> None:
    client = heard(request("/v1/things", "X: a", fold) + NEXT)
    assert client.refused(400) == "Malformed header: folded lines are not taken"


def test_a_fold_right_behind_the_request_line_is_refused() -> None:
    client = heard(b"GET /v1/things HTTP/1.1\r\n Host: a\r\n\r\n")
    assert client.refused(400) == "Malformed header: folded lines are not taken"


@pytest.mark.parametrize("name", ["X_Roles", "X-User_Id", "_", "Content_Length"])
def test_an_underscore_in_a_headers_name_is_refused(name: str) -> None:
    client = heard(request("/v1/things", f"{name}: admin") + NEXT)
    assert client.refused(400) == "Malformed header: underscores are not taken in names"


def test_an_underscore_in_the_very_last_header_is_refused() -> None:
    client = heard(b"GET /v1/things HTTP/1.1\r\nHost: a\r\nX_Roles: admin\r\n\r\n")
    assert client.refused(400) == "Malformed header: underscores are not taken in names"


def test_an_underscore_in_a_value_is_taken() -> None:
    client = heard(request("/v1/things", "X-Y: a_b"))
    assert (b"X-Y", b"a_b") in client.calls[0].headers


CHUNKS = b"2\r\n{}\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "lines",
    [
        ["Content-Length: 2", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Content-Length: 2"],
        ["Content-Length: 0", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
        ["Content-Length: 2", "Content-Length: 2"],
        ["Content-Length: 2", "Content-Length: 3"],
        ["Content-Length: 2, 2"],
        ["Content-Length: +2"],
        ["Content-Length: -2"],
        ["Content-Length: 0x2"],
        ["Content-Length: 2 2"],
        ["Content-Length: "],
        ["Content-Length : 2"],
        ["Transfer-Encoding : chunked"],
    ],
)
def test_a_body_whose_length_could_be_read_in_two_ways_is_400(lines: list[str]) -> None:
    client = heard(request("/v1/things", *lines, method="POST") + CHUNKS + NEXT)
    assert client.refused(400) == "Malformed request"


@pytest.mark.parametrize(
    "value", ["identity", "gzip, chunked", "chunked, gzip", "xchunked", "chunked;a=b", ""]
)
def test_a_transfer_coding_other_than_chunked_is_refused(value: str) -> None:
    text = request("/v1/things", f"Transfer-Encoding: {value}", method="POST")
    message = heard(text + CHUNKS + NEXT).refused(400)
    assert message == "Transfer-Encoding may be chunked, in HTTP/1.1, and no other"


@pytest.mark.parametrize("lines", [b"", b"Content-Length: 2\r\n"])
def test_a_coding_beside_others_is_refused_in_http_1_0(lines: bytes) -> None:
    text = b"POST /v1/things HTTP/1.0\r\n" + lines + b"Transfer-Encoding: chunked\r\n\r\n"
    message = heard(text + CHUNKS).refused(400)
    assert message == "Transfer-Encoding may be chunked, in HTTP/1.1, and no other"


@pytest.mark.parametrize("value", ["chunked", "Chunked", " chunked\t"])
def test_chunks_are_put_together(value: str) -> None:
    text = request("/v1/things", f"Transfer-Encoding: {value}", method="POST")
    client = heard(text + b'3\r\n{"a\r\n0000A\r\n":1234567}\r\n0\r\nX-Late: 1\r\n\r\n' + NEXT)
    assert [call.body for call in client.calls] == [b'{"a":1234567}', b""]
    assert [reply.status for reply in client.replies()] == [200, 200]


@pytest.mark.parametrize(
    "chunks",
    [
        b"2;x=y\r\n{}\r\n0\r\n\r\n",
        b"2;\r\n{}\r\n0\r\n\r\n",
        b"2 ;x\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0;x\r\n\r\n",
        b"2;" + b"x" * 2000,
        b"2\n{}\n0\n\n",
        b"+2\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b" 2\r\n{}\r\n0\r\n\r\n",
        b"2_0\r\n{}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}}\r\n0\r\n\r\n",
        b"2\r\n{}0\r\n\r\n",
        b"g\r\n",
    ],
)
@pytest.mark.parametrize("dripped", [False, True])
def test_chunks_that_are_not_plain_are_400(chunks: bytes, dripped: bool) -> None:
    text = request("/v1/things", "Transfer-Encoding: chunked", method="POST")
    client = heard(text)
    client.say(*([bytes([byte]) for byte in chunks + NEXT] if dripped else [chunks + NEXT]))
    assert client.refused(400) == "Malformed request"


def _head(size: int) -> bytes:
    """A request whose lines have so many bytes in all (their ends not counted)."""
    bare = request("/v1/things", "X: ")
    return request("/v1/things", "X: " + "x" * (size - len(bare.replace(b"\r\n", b""))))


def test_a_head_may_be_as_large_as_the_limit_and_no_larger() -> None:
    assert heard(_head(LIMITS.header_bytes)).reply.status == 200
    message = heard(_head(LIMITS.header_bytes + 1) + NEXT).refused(431)
    assert message == "The head of a request may have 1024 bytes."


@pytest.mark.parametrize(
    "text",
    [
        b"GET /" + b"x" * 2000,
        b"GET /" + b"x" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        request("/v1/things", *["X: " + "y" * 100] * 20),
        request("/v1/things", "X" * 2000 + ": y"),
        b"GET / HTTP/1.1\r\nX: " + b"y" * 2000,
    ],
)
@pytest.mark.parametrize("size", [1, 100, 5000])
def test_a_head_that_is_too_large_is_refused_however_it_comes(text: bytes, size: int) -> None:
    client = heard(*(text[at : at + size] for at in range(0, len(text), size)))
    assert client.refused(431) == "The head of a request may have 1024 bytes."


def test_each_request_of_a_connection_has_the_whole_limit_for_its_head() -> None:
    client = heard(*[_head(LIMITS.header_bytes)] * 5)
    assert [reply.status for reply in client.replies()] == [200] * 5


def test_more_than_500_headers_are_refused() -> None:
    assert heard(request("/v1/things", *["X: y"] * 499), header_bytes=9000).reply.status == 200
    client = heard(request("/v1/things", *["X: y"] * 500) + NEXT, header_bytes=9000)
    assert client.refused(400) == "Malformed request"


@pytest.mark.parametrize("ends", [b"\r\n", b""])
def test_an_empty_line_before_a_request_is_eaten(ends: bytes) -> None:
    assert heard(ends + NEXT).reply.status == 200


BODY = request("/v1/things", method="POST", body=b'{"a": 1}')
CHUNKED = (
    request("/v1/things/x", "Transfer-Encoding: chunked", method="PUT") + b"3\r\nabc\r\n0\r\n\r\n"
)


@given(st.lists(st.integers(1, 400), max_size=12), st.permutations([NEXT, BODY, CHUNKED]))
def test_requests_are_the_same_however_their_bytes_are_cut(
    cuts: list[int], texts: list[bytes]
) -> None:
    stream = b"".join(texts)
    at = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    client = heard(*(stream[a:b] for a, b in zip(at, at[1:], strict=False)))
    whole = heard(stream)
    assert [(c.method, c.body) for c in client.calls] == [(c.method, c.body) for c in whole.calls]
    assert len(whole.calls) == 3
    assert [reply.status for reply in client.replies()] == [200, 200, 200]


@given(st.binary(max_size=60), st.integers(1, 9))
def test_bytes_that_are_no_request_are_never_served(text: bytes, size: int) -> None:
    assume(b"\r\n" not in text)
    client = heard(*(text[at : at + size] for at in range(0, len(text), size)), b"\r\n\r\n")
    assert client.calls == []
    assert [reply.status for reply in client.replies()] in ([], [400], [501])
