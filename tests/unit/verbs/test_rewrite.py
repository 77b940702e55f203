"""Links, AZ names and `Location` are the appliance's; all else is as the pod wrote it."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import Pods, answer, context, pod

from trio2o.faces.resources import SERVER, VOLUME
from trio2o.message import Answer
from trio2o.verbs._context import Kinds
from trio2o.verbs._rewrite import Rewriter, rewritten

POD = pod(1, "az1")
URL = "http://pod.internal:8774/nova/v2.1"
US = Rewriter("http://top:1", "http://images:2", "/nova", "az1")

KINDS = Kinds.of((SERVER, VOLUME))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def body(value: Any) -> Any:
    return json.loads(US.body(json.dumps(value).encode(), KINDS))


@pytest.mark.parametrize(
    ("href", "ours"),
    [
        (f"{URL}/servers/1", "http://top:1/v2.1/servers/1"),
        ("http://any.host/nova/v2.1/servers/1", "http://top:1/v2.1/servers/1"),
        ("http://any.host/nova/servers/1", "http://top:1/servers/1"),
        (f"{URL}/servers?limit=1&marker=a%20b", "http://top:1/v2.1/servers?limit=1&marker=a%20b"),
        ("http://any.host/v2/images/1", "http://top:1/v2/images/1"),
        ("/relative", "/relative"),
        ("", ""),
    ],
)
def test_a_link_is_ours_whatever_host_the_pod_believes_it_has(href: str, ours: str) -> None:
    assert US.link(href) == ours


def test_links_are_rewritten_where_links_stand() -> None:
    links = [{"rel": "self", "href": f"{URL}/servers/1", "type": "x"}]
    mine = [{"rel": "self", "href": "http://top:1/v2.1/servers/1", "type": "x"}]
    server = {
        "id": "1",
        "links": links,
        "image": {"id": "i", "links": links},
        "flavor": {"links": links},
    }
    wanted = {
        "id": "1",
        "links": mine,
        "image": {"id": "i", "links": mine},
        "flavor": {"links": mine},
    }
    assert body({"server": server}) == {"server": wanted}
    assert body({"servers": [server, server], "servers_links": links}) == {
        "servers": [wanted, wanted],
        "servers_links": mine,
    }


def test_what_a_tenant_wrote_stays_though_it_looks_like_a_link() -> None:
    written = {"links": f"{URL}/servers/1", "href": URL, "OS-EXT-AZ:availability_zone": "nova"}
    server = {"id": "1", "metadata": written, "name": URL, "description": f'{{"href": "{URL}"}}'}
    assert body({"server": server}) == {"server": server}
    assert body({"metadata": {"a": URL}}) == {"metadata": {"a": URL}}


def test_the_az_is_the_tenants() -> None:
    server = {"OS-EXT-AZ:availability_zone": "nova", "name": "nova", "availability_zone": "nova"}
    assert body({"server": server})["server"] == server | {"OS-EXT-AZ:availability_zone": "az1"}
    assert body({"server": {"OS-EXT-AZ:availability_zone": None}}) == {
        "server": {"OS-EXT-AZ:availability_zone": None}
    }
    assert body({"volume": {"availability_zone": "nova"}}) == {
        "volume": {"availability_zone": "az1"}
    }
    assert body({"other": {"availability_zone": "nova"}}) == {
        "other": {"availability_zone": "nova"}
    }


@given(st.dictionaries(st.text().filter(lambda name: "links" not in name), JSON, max_size=5))
def test_anything_else_stays_as_it_was(value: dict[str, Any]) -> None:
    name = "thing"
    assert body({name: value}) == {name: value}


@given(JSON)
def test_no_document_breaks_it(value: Any) -> None:
    text = json.dumps({"server": value, "links": value, "servers": value}).encode()
    assert set(json.loads(US.body(text, KINDS))) == {"server", "links", "servers"}


@given(st.binary())
def test_what_is_no_json_stays_byte_for_byte(data: bytes) -> None:
    try:
        msgspec.json.decode(data, type=dict)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        assert US.body(data, KINDS) == data


def test_numbers_keep_their_digits() -> None:
    text = b'{"server":{"id":"1","big":12345678901234567890123,"f":1.10,"links":[]}}'
    assert US.body(text, KINDS) == text


def test_only_json_is_looked_into() -> None:
    where = context(Pods({POD: lambda call: Answer(200)}))
    text = answer(200, {"links": [{"href": f"{URL}/x"}]})
    plain = Answer(200, ((b"Content-Type", b"text/plain"),), text.body)
    assert rewritten(plain, US, where).body == text.body
    assert rewritten(text, US, where).body != text.body


@pytest.mark.parametrize(
    ("location", "ours"),
    [
        (f"{URL}/servers/1", "http://top:1/v2.1/servers/1"),
        ("http://glance:9292/v2/images/1", "http://images:2/v2/images/1"),
        ("http://glance:9292/images/1", "http://images:2/images/1"),
    ],
)
def test_location_is_ours_or_the_image_faces(location: str, ours: str) -> None:
    where = context(Pods({POD: lambda call: Answer(200)}))
    found = rewritten(answer(202, None, (b"Location", location.encode())), US, where)
    assert dict(found.headers)[b"Location"] == ours.encode()
