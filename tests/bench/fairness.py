"""Whether one tenant at full speed, a slow pod or a dead one takes what is the others'.

    .venv/bin/python -m tests.bench.fairness

A tenant makes 40 calls a second (`GET /v2.1/servers/{id}`, a pod that needs 50 ms) and its
latency is taken: alone, beside another tenant with 300 connections that ask as fast as they are
answered (the same pod, and one that answers at once, so that only the appliance's own processor
bounds it), beside one whose 100 connections all wait for a pod that hangs, and beside a dead pod.
A round is 4 s a phase, and all phases take turns, so that what else the machine does meets all
alike.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "component"))

from appliance import Appliance, Client  # noqa: E402
from fakes import Cloud  # noqa: E402

ROUNDS, SECONDS, PACE = 3, 4.0, 40
TAKES = {1: 0.05, 2: 30.0, 3: 0.0}
"""Seconds that a pod needs for a server."""


def id_of(pod: int) -> str:
    return f"{pod}f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55"


async def pod(number: int, port: int) -> None:
    """A pod with one server."""
    os.nice(10 if TAKES[number] == 0 else 0)
    server = {"server": {"id": id_of(number), "name": "one", "tenant_id": "x", "links": []}}
    version = {"id": "v2.1", "status": "CURRENT", "version": "2.96", "min_version": "2.1"}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            status, body = 404, {"itemNotFound": {"code": 404, "message": "no"}}
            if id_of(number).encode() in head:
                await asyncio.sleep(TAKES[number])
                status, body = 200, server
            elif head.startswith((b"GET / ", b"GET /v2.1/ ")):
                status, body = 200, {"versions": [version]}
            text = json.dumps(body).encode()
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (status, len(text), text)
            )

    async with await asyncio.start_server(serve, "127.0.0.1", port, backlog=512) as made:
        await made.serve_forever()


async def ask(link: tuple[asyncio.StreamReader, asyncio.StreamWriter], request: bytes) -> int:
    """The status."""
    reader, writer = link
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    )
    await reader.readexactly(length)
    return int(head.split(b" ", 2)[1])


def call(token: str, pod: int) -> bytes:
    head = f"GET /v2.1/servers/{id_of(pod)} HTTP/1.1\r\nHost: a\r\nX-Auth-Token: {token}\r\n\r\n"
    return head.encode()


async def flood(port: int, token: str, number: int, connections: int, seconds: float) -> None:
    """As fast as it is answered; tells how often it was answered how."""
    os.nice(10)  # it is the appliance that is measured, not who asks it
    end, statuses = time.monotonic() + seconds, dict[int, int]()

    async def one() -> None:
        link = await asyncio.open_connection("127.0.0.1", port)
        while time.monotonic() < end:
            status = await ask(link, call(token, number))
            statuses[status] = statuses.get(status, 0) + 1

    runs = [asyncio.create_task(one()) for _ in range(connections)]
    await asyncio.wait(runs, timeout=seconds + 0.5)
    for run in runs:
        run.cancel()
    print(json.dumps(statuses))


async def paced(port: int, token: str, seconds: float) -> list[float]:
    """Seconds that each call took, from the moment at which it was due."""
    took: list[float] = []
    free = [await asyncio.open_connection("127.0.0.1", port) for _ in range(16)]

    async def one(due: float) -> None:
        link = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
        status = await ask(link, call(token, 1))
        assert status == 200, status
        took.append(time.monotonic() - due)
        free.append(link)

    begun, runs = time.monotonic() + 0.2, []
    for number in range(int(seconds * PACE)):
        due = begun + number / PACE
        await asyncio.sleep(max(due - time.monotonic(), 0))
        runs.append(asyncio.create_task(one(due)))
    await asyncio.gather(*runs)
    for _, writer in free:
        writer.close()
    return took


def quantile(took: list[float], part: float) -> float:
    return sorted(took)[min(int(len(took) * part), len(took) - 1)] * 1000


def measure() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud.start()
        ports = dict.fromkeys(TAKES, 0)
        for number in (1, 2, 3, 4):
            cloud.pod(f"Pod{number}")
        appliance = Appliance(cloud, Path(folder))
        children = []
        from appliance import free_ports

        for number, port in zip(ports, free_ports(len(ports)), strict=True):
            ports[number] = port
            words = [sys.executable, "-m", "tests.bench.fairness", "pod", str(number), str(port)]
            children.append(subprocess.Popen(words))
            url = f"http://127.0.0.1:{port}/v2.1"
            cloud.keystone.register(f"Pod{number}", "compute", "nova", url)
        appliance.config.write_text(
            "\n".join(
                line
                for line in appliance.toml({}).splitlines()
                if not line.startswith(("limits.", "log.level", "pods.", "identity.timeout"))
            )
        )
        appliance.start()
        try:
            _phases(appliance, cloud)
        except BaseException:
            print("\n".join(appliance.log().splitlines()[-40:]))
            raise
        finally:
            appliance.kill()
            for child in children:
                child.kill()


def _phases(appliance: Appliance, cloud: Cloud) -> None:
    token = cloud.keystone.token("admin", "admin", ["admin"])
    admin = Client(appliance, cloud.keystone.project("admin"), token)

    def add(name: str, zone: str) -> None:
        body = {"pod": {"pod_name": name, "az_name": zone}}
        assert admin.ask("POST", "admin", "/v1.0/pods", body).status_code == 200

    add("RegionOne", "")
    for number in TAKES:
        add(f"Pod{number}", f"az{number}")
    port = appliance.ports["compute"]
    quiet, loud = (cloud.keystone.token(cloud.keystone.project(name)) for name in ("a", "b"))

    def beside(number: int, connections: int) -> Callable[[], Awaitable[list[float]]]:
        async def run() -> list[float]:
            words = [port, loud, number, connections, SECONDS + 1]
            child = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.bench.fairness", "flood", *map(str, words)),
                stdout=asyncio.subprocess.PIPE,
            )
            await asyncio.sleep(1)
            took = await paced(port, quiet, SECONDS)
            told = (await child.communicate())[0].decode().strip()
            print(f"    {connections} connections to Pod{number} were answered {told}")
            return took

        return run

    phases: dict[str, Callable[[], Awaitable[list[float]]]] = {
        "alone": lambda: paced(port, quiet, SECONDS),
        "beside a tenant at full speed": beside(1, 300),
        "beside one at a pod that is fast": beside(3, 300),
        "beside a pod that hangs": beside(2, 100),
    }
    asyncio.run(paced(port, quiet, 1))
    figures: dict[str, list[list[float]]] = {name: [] for name in phases}
    for _ in range(ROUNDS):
        for name, phase in phases.items():
            before = appliance.cpu(), time.monotonic()
            figures[name].append(asyncio.run(phase()))  # type: ignore[arg-type]
            used = (appliance.cpu() - before[0]) / (time.monotonic() - before[1])
            print(f"{name}: the appliance used {used:.0%} of a core")
    # a dead pod, once: what it costs those who have nothing to do with it
    add("Pod4", "az4")
    cloud.pod("Pod4").down()
    figures["beside a dead pod"] = [asyncio.run(paced(port, quiet, SECONDS)) for _ in range(2)]
    base = 0.0
    for name, rounds in figures.items():
        p50 = statistics.median(quantile(one, 0.5) for one in rounds)
        p99 = statistics.median(quantile(one, 0.99) for one in rounds)
        base = base or p99
        grown = f"{(p99 / base - 1) * 100:+.0f} %"
        print(f"{name:32} p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   {grown}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["pod", number, port]:
            asyncio.run(pod(int(number), int(port)))
        case ["flood", port, token, number, connections, seconds]:
            words = int(port), token, int(number), int(connections), float(seconds)
            asyncio.run(flood(*words))
        case _:
            measure()
