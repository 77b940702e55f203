"""The processes that a bench measures, and those it needs: started here, ended here by pid."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  keepalive_requests 1000000000;
  upstream pod {{ server 127.0.0.1:{pod}; keepalive 64; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass http://pod; proxy_http_version 1.1;
                  proxy_set_header Connection ""; proxy_set_header Host $host; }}
  }}
}}
"""

CORES = sorted(os.sched_getaffinity(0))
PROXY, OTHERS = CORES[:1], CORES[1:] or CORES
"""A proxy has a core of its own, if there are two."""


def nginx_command() -> str | None:
    return shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@contextmanager
def process(
    words: list[str], line: Any = None, cores: list[int] = OTHERS
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that takes one line of JSON and writes one; it is killed in the end."""
    pipe = subprocess.PIPE
    started = subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True)
    try:
        os.sched_setaffinity(started.pid, cores)
        assert started.stdin is not None and started.stdout is not None
        if line is not None:
            started.stdin.write(json.dumps(line) + "\n")
            started.stdin.flush()
        yield started, started.stdout.readline()
    finally:
        started.kill()
        started.wait()


def module(name: str, *words: str) -> list[str]:
    return [sys.executable, "-m", f"tests.bench.{name}", *words]


def load(
    port: int, path: str, token: str, connections: int, requests: int, post: str = ""
) -> dict[str, Any]:
    """What a client saw of so many requests."""
    plan = {
        "port": port,
        "path": path,
        "token": token,
        "connections": connections,
        "requests": requests,
        "post": post,
    }
    with process(module("load"), plan) as (client, line):
        if not line:
            raise SystemExit(f"the load on port {port} failed ({client.wait()}): {path}")
        seen: dict[str, Any] = json.loads(line)
        return seen


@contextmanager
def nginx(pod: int, folder: Path) -> Iterator[tuple[int, int]]:
    """nginx in front of one pod: its pid and port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, pod=pod, port=port))
    command = nginx_command()
    assert command is not None
    started = subprocess.Popen([command, "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        os.sched_setaffinity(started.pid, PROXY)
        until_it_listens(port)
        yield started.pid, port
    finally:
        started.kill()
        started.wait()


def until_it_listens(port: int, seconds: float = 60, pause: float = 0.05) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(pause)


@contextmanager
def idle(port: int, path: str, token: str, count: int) -> Iterator[None]:
    """So many connections, each of which had one answer and is kept."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: {token}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(count):
            kept = stack.enter_context(socket.create_connection(("127.0.0.1", port), 20))
            kept.sendall(request)
            assert kept.recv(65536).startswith(b"HTTP/1.1 200"), port
        yield


def resident(pid: int, name: str = "VmRSS") -> float:
    """MB of memory that a process has, what it shares with others included."""
    text = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in text.splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def peak(pid: int) -> float:
    """The most that it had, in MB."""
    return resident(pid, "VmHWM")


def cpu(pid: int) -> float:
    """Seconds of processor time, user and system, that a process has used.

    This is the process's CPU clock (clock_getcpuclockid(3)): what /proc/PID/stat says, but in
    nanoseconds and not in ticks of 10 ms, of which nginx uses too few in a round.
    """
    return time.clock_gettime(~pid << 3 | 2)
