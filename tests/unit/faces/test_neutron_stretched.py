"""What tenants may say of networks that span pods."""

from typing import Any

import pytest

from trio2o.domain.errors import BadRequest
from trio2o.faces.network._stretched import refuse_ours
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
