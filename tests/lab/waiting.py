"""Waiting until something is there, with a limit and the last reason why it was not."""

import socket
import time
from collections.abc import Callable

from . import topology


def until(what: str, there: Callable[[], object], seconds: float = 180) -> None:
    end, reason = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            if there():
                return
        except Exception as error:  # whatever is missing now may be there in a moment
            reason = f" ({error})"
        time.sleep(0.2)
    raise SystemExit(f"{what}: not ready after {seconds:.0f} s{reason}")


def until_port(what: str, port: int) -> None:
    def accepts() -> bool:
        with socket.create_connection((topology.IP, port), 1):
            return True

    until(what, accepts)
