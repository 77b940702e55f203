"""Odd calls on every row of every face: each is answered in time, none by an error of ours."""

import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from appliance import FACES, Appliance, Client, operator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd import BODY, HEADERS, NAMES, ODD

from trio2o.service import FACES as KINDS
from trio2o.web._pipeline import UNEXPECTED


class Link:
    """A connection that is made again where it was closed."""

    def __init__(self, port: int) -> None:
        self.port, self.file = port, None
        self.file: Any

    def ask(self, request: bytes, method: str) -> tuple[int, bytes]:
        for _ in range(2):
            if self.file is None:
                self.file = socket.create_connection(("127.0.0.1", self.port), 10).makefile("rwb")
            try:
                self.file.write(request)
                self.file.flush()
                if first := self.file.readline():
                    break
            except ConnectionError:
                pass
            self.file = None
        headers = {}
        while (line := self.file.readline().strip()) != b"":
            name, _, value = line.partition(b":")
            headers[name.decode().lower()] = value.decode().strip()
        status = int(first.split()[1])
        body = b""
        if method != "HEAD" and status not in (204, 304):
            if "content-length" in headers:
                body = self.file.read(int(headers["content-length"]))
            else:
                while size := int(self.file.readline(), 16):
                    body += self.file.read(size)
                    self.file.readline()
                self.file.readline()
        if headers.get("connection") == "close":
            self.file = None
        return status, body


@pytest.fixture
def fuzzer(appliance: Appliance, demo: Client) -> Iterator[tuple[Appliance, Client, Client]]:
    yield appliance, demo, operator(appliance)
    assert "Traceback" not in appliance.log()


@pytest.mark.parametrize("face", FACES)
def test_no_odd_call_is_an_error_of_ours_or_hangs(
    fuzzer: tuple[Appliance, Client, Client], face: str
) -> None:
    appliance, demo, admin = fuzzer
    (kind,) = [kind for kind in KINDS if kind.name == face]
    rows = [row for row in kind.operations if not row.stream]
    link = Link(appliance.ports[face])

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(rows),
        st.lists(ODD, min_size=6, max_size=6),
        st.dictionaries(NAMES, ODD, max_size=3),
        HEADERS,
        BODY,
        st.booleans(),
        st.sampled_from(["", "", "", "POST", "HEAD"]),
    )
    def odd(
        row: Any,
        ids: list[str],
        query: dict[str, str],
        headers: list[str],
        body: bytes,
        acts: bool,
        method: str,
    ) -> None:
        words = [
            quote(ids.pop(), safe="") if word.startswith("{") else word
            for word in row.path.split("/")
        ]
        target = "/".join(words) + (f"?{urlencode(query)}" if query else "")
        method = method or row.method
        if row.action and acts:
            body = json.dumps({row.action: json.loads(body) if is_json(body) else None}).encode()
        token = (admin if acts else demo).token
        lines = [f"{method} {target} HTTP/1.1", "Host: a", f"X-Auth-Token: {token}", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        request = "\r\n".join((*lines, "", "")).encode("latin-1") + body
        status, text = link.ask(request, method)
        assert UNEXPECTED.encode() not in text, (request, text)
        assert status < 600

    odd()


def is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except ValueError:
        return False
    return True
