"""One command at a time: a person and a test run may both want the lab up."""

import contextlib
import fcntl
from collections.abc import Iterator

from . import settings
from .progress import step


@contextlib.contextmanager
def held() -> Iterator[None]:
    settings.STATE.mkdir(parents=True, exist_ok=True)
    with open(settings.STATE / "lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            step("waiting for another lab command to end")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
