"""What unit and component tests share: a PostgreSQL server, started when a test first needs it."""

from collections.abc import Iterator

import pytest
from hypothesis import settings
from postgresql import Cluster, programs

# how long an example takes is the machine's affair
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL's programs are not installed (Debian package postgresql)")
    cluster = Cluster(found)
    yield cluster
    cluster.remove()
