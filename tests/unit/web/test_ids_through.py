"""What a client calls an id is never read as a path or a query by servers behind, in whatever call
of ours or of the client's it goes there: every row of every face is tried."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from edge import request
from memory import ADMIN, ID, Heard, Memory, reply

from trio2o.service import FACES

KIND = "Content-Type: application/json"
VERSION = "OpenStack-API-Version: compute 2.90, volume 3.60"
IN_PATH = "%252e%252e%252fcanary%3Fcanary%3D1%23%26"
IN_BODY = "../canary?canary=1"
KEYS = {
    *(one.key for kind in FACES for one in kind.resources.values()),
    *("security_group", "aggregate", "keypair"),
}
SHOWN: dict[str, Any] = {"id": ID, "name": "x", "links": [], "tenant_id": "t", "status": "x"}


@pytest.fixture(scope="module")
def way() -> None:
    """The tables here are the faces' own."""


def _answer(heard: Heard) -> bytes:
    """Whatever is asked for is there."""
    path = heard.target.replace(b"-", b"_").decode()
    named = [key for key in KEYS if key in path] or KEYS
    return reply(200, {f"{key}s": [SHOWN] for key in named} | dict.fromkeys(named, SHOWN))


def _bodies(row: Any) -> Iterator[Any]:
    """Bodies that name things by the canary, wherever this row looks for a name."""
    refs = getattr(row.verb, "refs", ())
    for ref in refs:
        value: Any = IN_BODY
        for word in reversed(ref.path.split(".")):
            value = [value] if word == "*" else value if word == "," else {word: value}
        yield value
    members = (
        *("flavorRef", "imageRef", "volume_type", "type", "group_type", "key_name", "id", "name"),
        *("pool", "address", "fixed_ip", "instance_uuid", "host", "snapshot_id", "image_id"),
        *("security_group", "project", "port_id", "subnet_id", "tag"),
    )
    named = dict.fromkeys(members, IN_BODY)
    listed = {"security_groups": [{"name": IN_BODY}], "networks": [{"port": IN_BODY}]}
    keys = {row.action} if row.action else {*KEYS, *(ref.path.split(".")[0] for ref in refs)}
    yield dict.fromkeys(keys, named | listed)
    yield dict.fromkeys(keys, {"flavorRef": IN_BODY, "imageRef": ID, "networks": "none"})
    yield dict.fromkeys(keys, {"flavorRef": "1", "imageRef": IN_BODY, "networks": "none"})


@pytest.mark.parametrize("kind", FACES, ids=lambda kind: kind.name)
def test_an_id_stays_one_segment_whatever_is_in_it(kind: Any) -> None:
    world, asked = Memory(), list[Heard]()

    def says(heard: Heard) -> bytes:
        asked.append(heard)
        return _answer(heard)

    for server in world.servers.values():
        if server is not world.keystone:
            server.says = says
    lines = f"X-Auth-Token: {ADMIN}", KIND, VERSION
    for row in kind.operations:
        client = world.client(kind.name)
        names = [n for n, word in enumerate(row.path.split("/")) if "{" in word]
        # all is odd; or the thing is there, and what is named of it is odd
        for odd in (names, names[1:]) if len(names) > 1 else (names,):
            words = row.path.split("/")
            for n in names:
                words[n] = IN_PATH if n in odd else ID
            text = json.dumps({row.action: {}} if row.action else {}).encode()
            text = text if row.method not in ("GET", "DELETE") else b""
            client.say(request("/".join(words), *lines, method=row.method, body=text))
        if row.method == "GET":
            client.say(request(f"{row.path}?marker={IN_PATH}&limit=1".replace("{id}", ID), *lines))
        if row.method in ("POST", "PUT", "PATCH"):
            target = "/".join(ID if "{" in word else word for word in row.path.split("/"))
            for body in _bodies(row):
                text = json.dumps(body).encode()
                client.say(request(target, *lines, method=row.method, body=text))
        world.wait(0.0)
    assert asked or kind.name == "admin"
    for heard in asked:
        path = heard.target.partition(b"?")[0]
        assert b"canary=1" not in heard.target, heard
        assert b"%2e%2e%2fcanary" not in path.lower(), heard
        assert not {b".", b".."}.intersection(path.split(b"/")), heard
        assert b"&" not in path and b"#" not in heard.target, heard
