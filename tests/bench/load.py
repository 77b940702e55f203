"""A client with kept connections: python -m tests.bench.load reads a plan, writes what it saw.

The plan is one line of JSON: port, path, token, connections, requests. Each answer has to be a
200 with the same body as the first one, which is written too, for the bench to look at.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

LONGEST = 60  # seconds: a proxy that hangs must not hang the bench


async def ask(reader: Any, writer: Any, request: bytes) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"not a 200: {head.decode('latin-1')}")
    start = head.lower().index(b"content-length: ") + 16
    body: bytes = await reader.readexactly(int(head[start : head.index(b"\r", start)]))
    return body


async def main() -> None:
    plan = json.loads(sys.stdin.readline())
    request = (
        f"GET {plan['path']} HTTP/1.1\r\nHost: bench\r\nX-Auth-Token: {plan['token']}\r\n"
        "Accept: application/json\r\nUser-Agent: bench\r\n"
        "OpenStack-API-Version: compute 2.90\r\n\r\n"
    ).encode()
    left, times, bodies = plan["requests"], [], []

    async def worker() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", plan["port"], limit=1 << 22)
        while left > 0:
            left -= 1
            begun = time.perf_counter()
            body = await ask(reader, writer, request)
            times.append(time.perf_counter() - begun)
            if not bodies:
                bodies.append(body)
            if body != bodies[0]:
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
