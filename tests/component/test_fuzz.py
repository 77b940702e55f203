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

from trio2o.service import FACES as KINDS
from trio2o.web._pipeline import UNEXPECTED

UUID = "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"
ODD = st.one_of(
    st.sampled_from(
        [
            UUID,
            UUID.upper(),
            UUID.replace("-", ""),
            "0",
            "-1",
            "1",
            "3000000007",
            "9" * 30,
            "detail",
        ]
    ),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    [
        *("limit", "marker", "offset", "sort_key", "sort_dir", "sort", "changes-since", "name"),
        *(
            "all_tenants",
            "fields",
            "id",
            "status",
            "availability_zone",
            "page_reverse",
            "reservation_id",
        ),
    ]
)
KEYS = st.sampled_from(
    [
        *("server", "volume", "snapshot", "network", "port", "flavor", "keypair", "server_group"),
        *("pod", "pod_binding", "interfaceAttachment", "volumeAttachment", "addTenantAccess"),
        *("availability_zone", "networks", "block_device_mapping_v2", "name", "uuid", "id"),
        *("os-attach", "os-extend", "backup", "quota_set", "router", "subnet", "scheduler_hints"),
    ]
)
BODY = st.one_of(
    st.dictionaries(KEYS, JSON | st.dictionaries(KEYS, JSON, max_size=3), max_size=2).map(
        lambda value: json.dumps(value).encode()
    ),
    JSON.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=30),
    st.just(b""),
)
HEADERS = st.lists(
    st.sampled_from(
        [
            "OpenStack-API-Version: compute 2.1",
            "OpenStack-API-Version: compute 2.9999",
            "OpenStack-API-Version: volume latest, compute latest",
            "OpenStack-API-Version: compute",
            "X-OpenStack-Nova-API-Version: 2.-1",
            "OpenStack-API-Version: volume 3.60",
            "Accept: text/html",
            "Accept-Encoding: gzip",
            "Content-Type: application/xml",
            "Content-Type: application/json",
            "Content-Type: application/json",
            "Content-Type: ;;",
            "X-Service-Token: nonsense",
            "X-Openstack-Request-Id: req-1\xff",
            "Connection: close, X-Auth-Token",
            "If-None-Match: *",
            "Range: bytes=5-1",
        ]
    ),
    max_size=3,
)


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
