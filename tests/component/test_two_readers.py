"""The same odd bytes through nginx and straight to the appliance: never two different requests."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from appliance import Appliance, Client, eventually, free_ports
from fake_http import Call
from fakes import FakePod

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx (nginx-light) is not installed")

CONF = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


@pytest.fixture
def nginx(appliance: Appliance, tmp_path: Path) -> Iterator[int]:
    """The port of an nginx in front of the compute face."""
    (port,) = free_ports(1)
    file = tmp_path / "nginx.conf"
    file.write_text(CONF.format(folder=tmp_path, port=port, behind=appliance.ports["compute"]))
    assert NGINX is not None
    started = subprocess.Popen([NGINX, "-c", str(file)], stderr=subprocess.DEVNULL)

    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    try:
        eventually(listens)
        yield port
    finally:
        started.kill()
        started.wait()


@dataclass(frozen=True)
class Seen:
    """What a pod was asked, and how often a client was answered."""

    asked: tuple[tuple[str, str, bytes], ...]
    answers: int


def seen(port: int, raw: bytes, pod: FakePod, token: str) -> Seen:
    del pod.calls[:]
    with socket.create_connection(("127.0.0.1", port), 5) as link:
        link.sendall(raw)
        link.settimeout(0.5)
        text = b""
        end = time.monotonic() + 3
        while time.monotonic() < end:
            try:
                piece = link.recv(65536)
            except (TimeoutError, ConnectionError):
                break
            if not piece:
                break
            text += piece
    calls: list[Call] = [call for call in list(pod.calls) if call.header("X-Auth-Token") == token]
    asked = tuple((call.method, call.path, call.body) for call in calls)
    return Seen(asked, text.count(b"HTTP/1.1 "))


BODY = '{"server": {"name": "n"}}'
HIDDEN = "DELETE /v2.1/servers/{id} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {token}\r\n\r\n"
"""What an attacker would have the second reader take for a request of its own."""

ODD = {
    "plain": "GET /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "two lengths": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Content-Length: 0\r\nContent-Length: {size}\r\n\r\n{hidden}",
    "two lengths in one": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Content-Length: 0, {size}\r\n\r\n{hidden}",
    "length and chunks": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Content-Length: {size}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
    "chunks and length": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{hidden}",
    "coding with a tab": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Transfer-Encoding:\tchunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{hidden}",
    "space before colon": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Transfer-Encoding : chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{hidden}",
    "coding twice": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{hidden}",
    "coding in quotes": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    'Transfer-Encoding: "chunked"\r\nContent-Length: 0\r\n\r\n{hidden}',
    "chunks in HTTP/1.0": "POST /v2.1/servers HTTP/1.0\r\nHost: a\r\n{auth}"
    "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
    "chunk extension": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Transfer-Encoding: chunked\r\n\r\n0;\n{hidden}\r\n\r\n",
    "chunk size with 0x": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{hidden}",
    "chunk size with a sign": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Transfer-Encoding: chunked\r\n\r\n-0\r\n\r\n{hidden}",
    "chunk size too long": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n\r\n{hidden}",
    "folded header": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n{hidden}",
    "bare line feeds": "GET /v2.1/servers HTTP/1.1\nHost: a\nX-Auth-Token: {token}\n\n{hidden}",
    "bare carriage return": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "X: a\rContent-Length: {size}\r\n\r\n{hidden}",
    "NUL in a header": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "X: a\0b\r\nContent-Length: 0\r\n\r\n{hidden}",
    "length with a sign": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Content-Length: +{size}\r\n\r\n{hidden}",
    "length with underscore": "POST /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Content_Length: {size}\r\nContent-Length: 0\r\n\r\n{hidden}",
    "GET with a body": "GET /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Content-Length: {size}\r\n\r\n{hidden}",
    "two hosts": "GET /v2.1/servers HTTP/1.1\r\nHost: a\r\nHost: b\r\n{auth}\r\n",
    "no host": "GET /v2.1/servers HTTP/1.1\r\n{auth}\r\n",
    "absolute target": "GET http://b/v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "dots": "GET /v2.1/x/../servers HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "coded dots": "GET /v2.1/x/%2e%2e/servers HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "coded slash": "DELETE /v2.1/servers%2f{id} HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "two slashes": "DELETE /v2.1//servers/{id} HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "backslash": "DELETE /v2.1/servers\\{id} HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "fragment": "DELETE /v2.1/servers/{id}#/x HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "coded line break": "GET /v2.1/servers/x%0d%0aX:%20y HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "coded NUL": "DELETE /v2.1/servers/{id}%00 HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "lower method": "delete /v2.1/servers/{id} HTTP/1.1\r\nHost: a\r\n{auth}\r\n",
    "HTTP/2.0": "GET /v2.1/servers HTTP/2.0\r\nHost: a\r\n{auth}\r\n",
    "HTTP/0.9": "GET /v2.1/servers\r\n",
    "pipelined": "GET /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}\r\n" * 2,
    "token named as hop-by-hop": "GET /v2.1/servers HTTP/1.1\r\nHost: a\r\n{auth}"
    "Connection: keep-alive, X-Auth-Token\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD)
def test_what_comes_through_nginx_is_what_comes_straight_or_is_refused(
    appliance: Appliance, demo: Client, pod1: FakePod, nginx: int, name: str
) -> None:
    id = demo.server("az1")
    hidden = HIDDEN.format(id=id, token=demo.token)
    raw = ODD[name].format(
        id=id,
        token=demo.token,
        auth=f"X-Auth-Token: {demo.token}\r\n",
        hidden=hidden,
        size=len(hidden),
    )
    straight = seen(appliance.ports["compute"], raw.encode("latin-1"), pod1, demo.token)
    through = seen(nginx, raw.encode("latin-1"), pod1, demo.token)
    # one may refuse where the other reads on; what both read, they read alike
    count = min(len(straight.asked), len(through.asked))
    assert straight.asked[:count] == through.asked[:count]


def test_an_odd_call_that_both_take_is_compared(
    appliance: Appliance, demo: Client, pod1: FakePod, nginx: int
) -> None:
    """What the comparison above compares is not nothing."""
    raw = ODD["plain"].format(auth=f"X-Auth-Token: {demo.token}\r\n").encode()
    straight = seen(appliance.ports["compute"], raw, pod1, demo.token)
    assert straight.asked == seen(nginx, raw, pod1, demo.token).asked
    assert len(straight.asked) == 1
