"""What tenants may say of networks that span pods."""

from typing import Any

import msgspec
import pytest
from world import pod

from trio2o.domain.errors import BadRequest
from trio2o.faces.network._stretched import _skip, refuse_ours
from trio2o.networks import things


@pytest.mark.parametrize(
    "body",
    [
        {"network": {"description": things.bridge_mark("a router of somebody")}},
        {"networks": [{"name": "n"}, {"description": "trio2o:id"}]},
        {"port": {"network_id": "n", "device_id": things.dhcp("Pod1")}},
    ],
)
def test_nobody_makes_what_says_to_be_ours(body: dict[str, Any]) -> None:
    with pytest.raises(BadRequest, match="a name for Trio2o's own"):
        refuse_ours(body)


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {"network": None},
        {"network": {"name": "trio2o-net", "description": "trio2o's"}},
        {"port": {"device_id": None, "description": ""}},
        {"sub_ports": [{"port_id": "p"}], "subnet_id": "s"},
    ],
)
def test_all_else_is_the_tenants_to_say(body: Any) -> None:
    refuse_ours(body)


@pytest.mark.parametrize(
    ("row", "ours"),
    [
        ({"description": "trio2o:id"}, True),
        ({"name": "trio2o:id"}, True),
        ({"name": "net", "description": "of trio2o:id"}, False),
        ({"belongs_to_default_sg": True}, True),
        ({"belongs_to_default_sg": False, "description": None}, False),
        ({}, False),
    ],
)
def test_what_pods_have_of_ours_is_not_shown_beside_it(row: dict[str, Any], ours: bool) -> None:
    fields = msgspec.json.decode(msgspec.json.encode(row), type=dict[str, msgspec.Raw])
    assert _skip(pod(1), fields) == ours
    assert not _skip(pod(1, az_name=""), fields)
