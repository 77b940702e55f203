"""A client with kept connections: python -m tests.bench.load reads a plan, writes what it saw.

The plan is one line of JSON: port, path, token, connections, requests, and the body to POST
(empty: GET). Each answer to a GET has to be a 200 with the same body as the first one, each to a
POST a 202; the first body is written too, for the bench to look at.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from typing import Any

LONGEST = 100  # seconds: a proxy that hangs must not hang the bench


async def ask(reader: Any, writer: Any, request: bytes) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 202 " if request.startswith(b"POST") else b"HTTP/1.1 200 "):
        raise SystemExit(f"not a 200: {head.decode('latin-1')}")
    start = head.lower().index(b"content-length: ") + 16
    body: bytes = await reader.readexactly(int(head[start : head.index(b"\r", start)]))
    return body


async def main() -> None:
    plan = json.loads(sys.stdin.readline())
    sent = f"Content-Type: application/json\r\nContent-Length: {len(plan['post'])}\r\n"
    request = (
        f"{'POST' if plan['post'] else 'GET'} {plan['path']} HTTP/1.1\r\n"
        f"Host: bench\r\nX-Auth-Token: {plan['token']}\r\n"
        "Accept: application/json\r\nUser-Agent: bench\r\n"
        "OpenStack-API-Version: compute 2.90\r\n"
        f"{sent if plan['post'] else ''}\r\n{plan['post']}"
    ).encode()
    left, times, bodies = plan["requests"], [], []

    def asked(number: int) -> bytes:
        """`{id}` in the path is another server's each time."""
        return request.replace(b"{id}", str(uuid.UUID(int=number)).encode())

    async def worker() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", plan["port"], limit=1 << 22)
        while left > 0:
            left -= 1
            begun = time.perf_counter()
            body = await ask(reader, writer, asked(left + 1))
            times.append(time.perf_counter() - begun)
            if not bodies:
                bodies.append(body)
            if body != bodies[0] and not (plan["post"] or "{id}" in plan["path"]):
                raise SystemExit("two answers differ")
        writer.close()

    begun = time.perf_counter()
    try:
        async with asyncio.timeout(LONGEST):
            await asyncio.gather(*(worker() for _ in range(plan["connections"])))
    except TimeoutError:
        raise SystemExit(f"{len(times)} answers in {LONGEST} s") from None
    seconds = time.perf_counter() - begun
    times.sort()
    seen = {
        "requests": len(times),
        "seconds": seconds,
        "p50": times[len(times) // 2],
        "p99": times[int(len(times) * 0.99)],
        "body": bodies[0].decode(),
    }
    print(json.dumps(seen))


if __name__ == "__main__":
    asyncio.run(main())
