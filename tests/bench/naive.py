"""The proxy that one writes first: Klein, treq and json. It does the work that the table of
performance figures is about: a token looked up in a dict, an id in another, links rewritten.

python -m tests.bench.naive reads {"token": ..., "pods": {port: its URL}, "owners": {id: port},
"top": our URL}, from its first line, writes its own port, and serves until its input ends. A list
is what all pods have, sorted.
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
known: dict[str, Any] = json.loads(sys.stdin.readline())
tokens = {known["token"]: "demo"}
pool = HTTPConnectionPool(reactor)
pool.maxPersistentPerHost = 64  # with the default of two it would connect anew all the time


def ask(port: str, request: Any) -> Any:
    token = request.getHeader("X-Auth-Token")
    assert token in tokens
    headers = {"X-Auth-Token": token, "Accept": "application/json"}
    url = f"http://127.0.0.1:{port}{request.uri.decode()}"
    if request.method == b"POST":
        headers["Content-Type"] = "application/json"
        return treq.post(url, data=request.content.read(), headers=headers, pool=pool)
    return treq.get(url, headers=headers, pool=pool)


def ours(row: dict[str, Any], port: str) -> dict[str, Any]:
    for links in (row.get("links", ()), row.get("image", {}).get("links", ())):
        for link in links:
            link["href"] = link["href"].replace(known["pods"][port], known["top"], 1)
    return row


def answer(request: Any, document: Any) -> bytes:
    body = json.dumps(document).encode()
    request.setHeader("Content-Type", "application/json")
    request.setHeader("Content-Length", str(len(body)))
    return body


@app.route("/v2.1/servers/detail")
async def servers(request: Any) -> bytes:
    rows = []
    responses = await gatherResults([ask(port, request) for port in known["pods"]])
    for port, response in zip(known["pods"], responses, strict=True):
        rows += [(row, port) for row in json.loads(await response.content())["servers"]]
    rows.sort(key=lambda one: (one[0]["created"], one[0]["id"]), reverse=True)
    return answer(request, {"servers": [ours(row, port) for row, port in rows[:100]]})


@app.route("/v2.1/servers", methods=["POST"])
@app.route("/v2.1/servers/<id>")
async def server(request: Any, id: str = "") -> bytes:
    port = known["owners"][id] if id else next(iter(known["pods"]))
    response = await ask(port, request)
    request.setResponseCode(response.code)
    return answer(request, {"server": ours(json.loads(await response.content())["server"], port)})


def until_input_ends() -> None:
    sys.stdin.read()
    reactor.callFromThread(reactor.stop)


if __name__ == "__main__":
    listening = reactor.listenTCP(0, Site(app.resource()), interface="127.0.0.1")
    print(listening.getHost().port, flush=True)
    threading.Thread(target=until_input_ends, daemon=True).start()
    reactor.run()
