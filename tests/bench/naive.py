"""The proxy that one writes first: Klein, treq and json. It asks for no token.

python -m tests.bench.naive reads the pods' ports, a list of JSON, from its first line, writes its
own port, and serves until its input ends. One server is fetched from the first pod and passed on
as it is; a list is what all pods have, sorted.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

import treq
from klein import Klein
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.web.client import HTTPConnectionPool
from twisted.web.server import Site

app = Klein()
ports: list[int] = json.loads(sys.stdin.readline())
pool = HTTPConnectionPool(reactor)
pool.maxPersistentPerHost = 64  # with the default of two it would connect anew all the time


def ask(port: int, request: Any) -> Any:
    headers = {"X-Auth-Token": request.getHeader("X-Auth-Token"), "Accept": "application/json"}
    url = f"http://127.0.0.1:{port}{request.uri.decode()}"
    if request.method == b"POST":
        headers["Content-Type"] = "application/json"
        return treq.post(url, data=request.content.read(), headers=headers, pool=pool)
    return treq.get(url, headers=headers, pool=pool)


def answer(request: Any, body: bytes) -> bytes:
    request.setHeader("Content-Type", "application/json")
    request.setHeader("Content-Length", str(len(body)))
    return body


@app.route("/v2.1/servers/detail")
async def servers(request: Any) -> bytes:
    rows = []
    for response in await gatherResults([ask(port, request) for port in ports]):
        rows += json.loads(await response.content())["servers"]
    rows.sort(key=lambda row: (row["created"], row["id"]), reverse=True)
    return answer(request, json.dumps({"servers": rows[:100]}).encode())


@app.route("/", branch=True)
async def anything(request: Any) -> bytes:
    response = await ask(ports[0], request)
    request.setResponseCode(response.code)
    return answer(request, await response.content())


def until_input_ends() -> None:
    sys.stdin.read()
    reactor.callFromThread(reactor.stop)


if __name__ == "__main__":
    listening = reactor.listenTCP(0, Site(app.resource()), interface="127.0.0.1")
    print(listening.getHost().port, flush=True)
    threading.Thread(target=until_input_ends, daemon=True).start()
    reactor.run()
