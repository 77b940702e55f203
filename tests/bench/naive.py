"""The proxy that one writes first: Klein, treq and json, a token and an id looked up in a dict.

python -m tests.bench.naive reads {"token": ..., "pods": [ports], "owners": {id: port}} from its
first line, writes its port, and serves.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import treq
from klein import Klein
from twisted.internet import reactor
from twisted.internet.defer import gatherResults
from twisted.web.client import HTTPConnectionPool
from twisted.web.server import Site

app = Klein()
settings = json.loads(sys.stdin.readline())
pool = HTTPConnectionPool(reactor)
pool.maxPersistentPerHost = 64  # with the default of two it would connect anew all the time


def ours(row: dict[str, Any]) -> dict[str, Any]:
    for link in row["links"]:
        link["href"] = "http://top" + link["href"][link["href"].index("/v2.1") :]
    return row


def get(port: int, path: str, request: Any) -> Any:
    headers = {"X-Auth-Token": request.getHeader("X-Auth-Token"), "Accept": "application/json"}
    return treq.get(f"http://127.0.0.1:{port}{path}", headers=headers, pool=pool)


def answer(request: Any, document: Any) -> bytes:
    body = json.dumps(document).encode()
    request.setHeader("Content-Type", "application/json")
    request.setHeader("Content-Length", str(len(body)))
    return body


@app.route("/v2.1/servers/detail")
async def servers(request: Any) -> bytes:
    assert request.getHeader("X-Auth-Token") == settings["token"]
    asked = [get(port, "/v2.1/servers/detail?limit=100", request) for port in settings["pods"]]
    rows = []
    for response in await gatherResults(asked):
        rows += json.loads(await response.content())["servers"]
    rows.sort(key=lambda row: row["id"])
    rows.sort(key=lambda row: row["created"], reverse=True)
    return answer(request, {"servers": [ours(row) for row in rows[:100]]})


@app.route("/v2.1/servers/<id>")
async def server(request: Any, id: str) -> bytes:
    assert request.getHeader("X-Auth-Token") == settings["token"]
    response = await get(settings["owners"][id], f"/v2.1/servers/{id}", request)
    body = json.loads(await response.content())
    request.setResponseCode(response.code)
    return answer(request, {"server": ours(body["server"])})


if __name__ == "__main__":
    listening = reactor.listenTCP(0, Site(app.resource()), interface="127.0.0.1")
    print(listening.getHost().port, flush=True)
    reactor.run()
