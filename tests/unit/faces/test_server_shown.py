"""A server that is shown, with networks that span pods."""

from types import SimpleNamespace
from typing import Any

import pytest
from helpers import result_of
from world import answer

from trio2o.faces.compute._networks import Shown
from trio2o.message import Answer


@pytest.mark.parametrize(
    ("status", "state", "looked"), [(200, "ACTIVE", []), (200, "DELETED", ["s"]), (404, "", ["s"])]
)
def test_the_ports_of_a_server_that_is_told_gone_are_free_before(
    status: int, state: str, looked: list[str]
) -> None:
    ended: list[str] = []

    async def end(id: str) -> None:
        ended.append(id)

    async def show(call: Any, context: Any) -> Answer:
        return answer(status, {"server": {"id": "s", "status": state}})

    context: Any = SimpleNamespace(
        params={"id": "s"}, parts=SimpleNamespace(networks=SimpleNamespace(ended=end))
    )
    call: Any = None
    assert result_of(Shown(show)(call, context)).status == status
    assert ended == looked
