"""Several processes that serve: one binds the sockets and starts the others, which adopt them."""

from __future__ import annotations

import math
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from attrs import evolve, frozen
from prometheus_client.multiprocess import mark_process_dead
from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError, ProcessExitedAlready
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from txaio.tx import make_logger

from trio2o.running import Notifier
from trio2o.settings import Settings
from trio2o.state import lock_state
from trio2o.store import NewerSchema, Store
from trio2o.store.lease import break_lease

log = make_logger()

PORTS = ("admin", "compute", "volume", "network", "image", "all")

LONGEST = 10.0
"""Seconds between two starts of a worker at most; the first comes after a tenth of a second."""

STEADY = 60.0
"""Seconds after which a worker that ends is none that cannot start."""

GRACE = 5.0
"""Seconds beyond `service.shutdown` that a worker is given to end."""


@frozen
class Worker:
    """What a worker is told: which one it is, and the descriptors that it inherits."""

    number: int
    of: int
    sockets: Mapping[str, int]
    ready: int

    @classmethod
    def parse(cls, text: str) -> Worker:
        return cls(**msgspec.json.decode(text, type=dict[str, Any]))

    def __str__(self) -> str:
        return f"worker {self.number} of {self.of}"

    def share(self, settings: Settings) -> Settings:
        """The settings with this worker's part of what all may use together."""

        def part(whole: int) -> int:
            return math.ceil(whole / self.of)

        pods, limits = settings.pods, settings.limits
        pods = evolve(
            pods,
            connections=part(pods.connections),
            project_connections=part(pods.project_connections),
        )
        limits = evolve(limits, project_calls=part(limits.project_calls))
        return evolve(settings, pods=pods, limits=limits)

    def endpoint(self, reactor: Any, face: str, listen: str) -> Any:
        """The endpoint of a face on the socket that was inherited."""
        # what systemd passed, it passed to the parent: any kind of socket will do here
        text = re.sub(r"systemd:.*", "tcp:0", listen)
        return serverFromString(_Adopting(reactor, self.sockets[face]), text)

    def begin(self, reactor: Any) -> None:
        """Stop when the parent is gone, however it ended."""
        reactor.addReader(_Parent(reactor))

    def is_ready(self) -> None:
        os.write(self.ready, b"1")
        os.close(self.ready)


class _Adopting:
    """A reactor that listens on one socket, whatever it is told to listen on."""

    def __init__(self, reactor: Any, descriptor: int) -> None:
        self._reactor, self._descriptor = reactor, descriptor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: Any, factory: Any, **_: Any) -> Any:  # noqa: N802
        with socket.socket(fileno=os.dup(self._descriptor)) as inherited:
            family = inherited.family
        return self._reactor.adoptStreamPort(self._descriptor, family, factory)

    listenUNIX = listenTCP  # noqa: N815

    def listenSSL(  # noqa: N802
        self,
        port: Any,
        factory: Any,
        contextFactory: Any,
        **_: Any,  # noqa: N803
    ) -> Any:
        return self.listenTCP(port, TLSMemoryBIOFactory(contextFactory, False, factory))


class _Parent:
    """The pipe from the parent: nothing ever comes, and its end is the parent's."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor

    def fileno(self) -> int:
        return 0

    def logPrefix(self) -> str:  # noqa: N802
        return "parent"

    def doRead(self) -> None:  # noqa: N802
        if not os.read(0, 1024):
            self.connectionLost(None)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802
        self._reactor.removeReader(self)
        if self._reactor.running:
            log.warn("the parent has ended, and so do we")
            self._reactor.stop()


class _NoFactory(Factory):
    """What the parent listens with: it accepts nothing."""

    noisy = False


class _Child(ProcessProtocol):
    """One worker as its parent sees it."""

    def __init__(self, workers: Workers, number: int) -> None:
        self._workers, self.number = workers, number
        self.begun = time.monotonic()
        self.ready = False
        self.pid = 0
        self.ended: Deferred[None] = Deferred()

    def connectionMade(self) -> None:  # noqa: N802
        transport: Any = self.transport
        self.pid = transport.pid

    def childDataReceived(self, childFD: int, data: bytes) -> None:  # noqa: N802, N803
        self.ready = True
        self._workers.became_ready()

    def processEnded(self, reason: Any) -> None:  # noqa: N802
        self.ended.callback(None)
        self._workers.lost(self, reason.getErrorMessage())

    def send(self, what: int) -> None:
        transport: Any = self.transport
        with suppress(ProcessExitedAlready):
            transport.signalProcess(what)


class Workers(Service):
    """The parent: it serves nothing itself, and has a worker started for each that ends."""

    def __init__(self, reactor: Any, settings: Settings, config: str) -> None:
        self._reactor, self._settings, self._config = reactor, settings, config
        self.failed = False
        self._ports: dict[str, Any] = {}
        self._children: dict[int, _Child] = {}
        self._waits: dict[int, float] = {}
        self._up = False
        self._metrics = Path(settings.service.state) / "metrics"
        self._notifier = Notifier(reactor, os.environ)

    def startService(self) -> None:  # noqa: N802
        self.running = 1
        Deferred.fromCoroutine(self._start()).addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        plain = failure.check(ValueError, OSError, CannotListenError, NewerSchema)
        self._fail(failure.getErrorMessage() if plain else failure.getTraceback())

    def _fail(self, why: str) -> None:
        self.failed = True
        log.critical("cannot start: {why}", why=why)
        if self._reactor.running:
            self._reactor.stop()

    async def _start(self) -> None:
        settings = self._settings
        self._lock = lock_state(settings)
        store = Store(self._reactor, settings.store_url)  # the schema is made once
        await store.write(break_lease)
        store.close()
        self._metrics.mkdir(exist_ok=True)
        for left in self._metrics.glob("*.db"):
            left.unlink()
        for face in PORTS:
            if listen := getattr(settings.faces, face).listen:
                port = await serverFromString(self._reactor, listen).listen(_NoFactory())
                port.stopReading()  # whoever adopts it accepts
                self._ports[face] = port
                log.info("{face} face at {listen}", face=face, listen=listen)
        signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self._reload))
        for number in range(1, settings.service.workers + 1):
            self._spawn(number)

    def _reload(self) -> None:
        self._notifier.reloading()
        self._tell_all()
        self._notifier.tell("READY=1")

    def _tell_all(self, what: int = signal.SIGHUP) -> None:
        for child in self._children.values():
            child.send(what)

    def _spawn(self, number: int) -> None:
        if not self.running:
            return
        sockets = {face: 3 + index for index, face in enumerate(self._ports)}
        ready, lock = 3 + len(sockets), 4 + len(sockets)
        worker = {
            "number": number,
            "of": self._settings.service.workers,
            "sockets": sockets,
            "ready": ready,
        }
        inherited: dict[int, Any] = {0: "w", 1: 1, 2: 2, ready: "r", lock: self._lock.fileno()}
        inherited |= {sockets[face]: port.fileno() for face, port in self._ports.items()}
        program = [sys.executable]
        if not getattr(sys, "frozen", False):
            program += ["-m", "trio2o.commands"]
        words = ["serve", "--config", self._config, "--worker", msgspec.json.encode(worker)]
        # what systemd tells its service is meant for the parent
        told = ("LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_USEC")
        environment = {name: value for name, value in os.environ.items() if name not in told}
        # the workers' metrics are told as one
        environment["PROMETHEUS_MULTIPROC_DIR"] = str(self._metrics)
        child = self._children[number] = _Child(self, number)
        self._reactor.spawnProcess(
            child, program[0], [*program, *words], env=environment, childFDs=inherited
        )

    def became_ready(self) -> None:
        if not self._up and all(child.ready for child in self._children.values()):
            self._up = True
            log.info("{count} workers serve", count=len(self._children))
            self._notifier.ready(f"{len(self._children)} workers")

    def lost(self, child: _Child, why: str) -> None:
        """A worker has ended: unless all are to end, another takes its place."""
        del self._children[child.number]
        mark_process_dead(child.pid, str(self._metrics))  # type: ignore[no-untyped-call]
        if not self.running:
            return
        if not self._up and not child.ready:
            self._fail(f"worker {child.number}: {why}")
            return
        steady = time.monotonic() - child.begun > STEADY
        wait = 0.1 if steady else min(2 * self._waits.get(child.number, 0.05), LONGEST)
        self._waits[child.number] = wait
        log.error("worker {number} has ended: {why}", number=child.number, why=why)
        self._reactor.callLater(wait, self._spawn, child.number)

    async def _stop(self) -> None:
        children = list(self._children.values())
        self._notifier.stopping()
        self._tell_all(signal.SIGTERM)
        limit = self._settings.service.drain + self._settings.service.shutdown + GRACE
        timer = self._reactor.callLater(limit, self._tell_all, signal.SIGKILL)
        await gatherResults([child.ended for child in children])
        if timer.active():
            timer.cancel()
        for port in self._ports.values():
            await port.stopListening()
        self._notifier.close()

    def stopService(self) -> Deferred[None]:  # noqa: N802
        self.running = 0
        return Deferred.fromCoroutine(self._stop())
