"""What systemd is told of a service of `Type=notify` (sd_notify(3)), over a datagram socket."""

import os
import socket
import time
from collections.abc import Mapping
from typing import Any

from twisted.internet.task import LoopingCall
from txaio.tx import make_logger

log = make_logger()


class Notifier:
    """Tells systemd how it stands; nothing where systemd did not ask."""

    def __init__(self, clock: Any, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "").replace("@", "\0", 1)
        usec = environment.get("WATCHDOG_USEC", "")
        ours = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self._every = int(usec) / 2_000_000 if usec.isdigit() and ours else 0.0
        self._beat = LoopingCall(self.tell, "WATCHDOG=1")
        self._beat.clock = clock

    def tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as made:
                made.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warn("systemd was not told {lines}: {error}", lines=lines, error=error)

    def ready(self, status: str) -> None:
        """It serves. From now on the reactor's beat keeps the watchdog quiet."""
        self.tell("READY=1", f"STATUS={status}")
        if self._every and not self._beat.running:
            self._beat.start(self._every)

    def reloading(self) -> None:
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        self.tell("STOPPING=1")

    def close(self) -> None:
        if self._beat.running:
            self._beat.stop()
