"""Each test of the edge is made twice: for rows that Klein finds, and for hot ones."""

from collections.abc import Iterator

import pytest
from edge import HOT, LONG, Face


@pytest.fixture(params=["long", "hot"], scope="module", autouse=True)
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    Face.app = HOT if request.param == "hot" else LONG
    yield
    Face.app = LONG
