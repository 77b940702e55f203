"""What unit and component tests share: a PostgreSQL server, started when a test first needs it."""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from postgresql import Cluster, programs

# How long an example takes is the machine's affair. A run of the tests tells of this checkout only
# if it draws what it drew before; `make test-random` looks for what nobody thought of.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("TRIO2O_HYPOTHESIS", "same"))


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL's programs are not installed (Debian package postgresql)")
    cluster = Cluster(found)
    yield cluster
    cluster.remove()
