"""A large image up and down through the image face: python -m tests.bench.image [MiB].

Prints MB/s and by how much the appliance's resident memory grew at most; exits with 1 if that is
20 MB or more. Its Glance (`glance.py`) swallows what it is sent.
"""

from __future__ import annotations

import json
import socket
import sys
import tempfile
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

from .field import Cloud, Shipped
from .proxies import module, peak, process, resident

MEBIBYTE = 1024 * 1024
MOST = 20.0  # MB


def up(port: int, path: str, token: str, size: int) -> str:
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        head = f"PUT {path} HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: {token}\r\n"
        kind = "Content-Type: application/octet-stream\r\n"
        client.sendall(f"{head}{kind}Content-Length: {size}\r\n\r\n".encode())
        piece = bytes(MEBIBYTE)
        for _ in range(size // MEBIBYTE):
            client.sendall(piece)
        return client.recv(65536).split(b"\r\n")[0].decode()


def down(port: int, path: str, token: str) -> int:
    with socket.create_connection(("127.0.0.1", port), 60) as client:
        head = f"GET {path} HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: {token}\r\n"
        client.sendall(f"{head}Connection: close\r\n\r\n".encode())
        got, start = 0, b""
        while piece := client.recv(MEBIBYTE):
            if b"\r\n\r\n" not in start:
                start += piece
                got = len(start.partition(b"\r\n\r\n")[2])
            else:
                got += len(piece)
        return got


def main(size: int) -> int:
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        cloud = Cloud.start()
        token = cloud.keystone.token("demo")
        port = json.loads(stack.enter_context(process(module("glance", str(size))))[1])
        cloud.keystone.register("Central", "image", "glance", f"http://127.0.0.1:{port}")
        appliance = Shipped(cloud, Path(folder))
        stack.callback(appliance.close)
        appliance.start()
        assert appliance.process is not None
        pid, face = appliance.process.pid, appliance.ports["image"]
        path = f"/v2/images/{uuid.uuid4()}/file"
        up(face, path, token, 4 * MEBIBYTE), down(face, f"{path}?small", token)  # warm
        grown = []
        for way in ("up", "down"):
            before, begun = resident(pid), time.perf_counter()
            Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak counts from now on
            if way == "up":
                line = up(face, path, token, size)
                assert line.startswith("HTTP/1.1 204"), line
            else:
                assert down(face, path, token) == size
            seconds = time.perf_counter() - begun
            grown.append(peak(pid) - before)
            rate = size / MEBIBYTE / seconds
            print(f"{way}: {rate:.0f} MiB/s, memory grew by {grown[-1]:.1f} MB")
    return 0 if max(grown) < MOST else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1] if sys.argv[1:] else 1024) * MEBIBYTE))
