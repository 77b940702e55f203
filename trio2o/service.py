"""The appliance as a Twisted service: settings in, a list of parts out."""

from __future__ import annotations

import fcntl
import gc
import os
import time
import traceback
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall, deferLater
from twisted.python import usage
from txaio.tx import make_logger

from trio2o.definitions import Keypairs, ServerGroups
from trio2o.faces import BaseFace, Parts
from trio2o.faces.admin import AdminFace
from trio2o.faces.compute import ComputeFace
from trio2o.faces.image import ImageFace
from trio2o.faces.network import NetworkFace
from trio2o.faces.resources import SERVER
from trio2o.faces.volume import VolumeFace
from trio2o.identity import Catalog, Keystone, Policy, Tokens
from trio2o.networks import NetworkPass, Networks, settle_router
from trio2o.pods import Pods
from trio2o.reconcile import Passes
from trio2o.routes import Routes, Sweep
from trio2o.settings import BadSettings, Settings, load
from trio2o.store import NewerSchema, Store
from trio2o.upstream import Pool
from trio2o.web import FaceSite, Limits, Pipeline

log = make_logger()

FACES: tuple[type[BaseFace], ...] = (AdminFace, ComputeFace, VolumeFace, NetworkFace, ImageFace)

RECHECK = 1.0
"""Seconds between looks at pods that are down (each as often as its breaker allows)."""


class Options(usage.Options):
    """Options of `twistd trio2o`."""

    optParameters = [["config", "c", "trio2o.toml", "The settings file."]]  # noqa: N815


def makeService(options: Options) -> Service:  # noqa: N802
    """For twistd. Raises `SystemExit` if the settings are refused."""
    from twisted.internet import reactor

    try:
        appliance = Appliance(reactor, load(options["config"]))
    except BadSettings as error:
        raise SystemExit(f"trio2o: {error}") from None

    def tell() -> None:
        """twistd itself would end with 0 after a start that failed."""
        if appliance.failed:
            os._exit(1)

    running: Any = reactor
    running.addSystemEventTrigger("after", "shutdown", tell)
    return appliance


class Appliance(Service):
    """All faces in one process. It listens once the store and the catalog were read."""

    def __init__(self, reactor: Any, settings: Settings) -> None:
        self._reactor, self._settings = reactor, settings
        self.sites: list[FaceSite] = []
        self.failed = False
        self.store: Store | None = None
        self.pool: Pool | None = None
        self.passes: Passes | None = None
        self.networks: Networks | None = None
        self._ports: list[Any] = []
        self._loops: list[LoopingCall] = []

    def startService(self) -> None:  # noqa: N802
        self.running = 1
        self.started = Deferred.fromCoroutine(self._start())
        self.started.addErrback(self._failed)

    def _failed(self, failure: Any) -> None:
        self.failed = True
        # what an operator can put right needs no traceback
        plain = failure.check(ValueError, OSError, CannotListenError, NewerSchema)
        why = failure.getErrorMessage() if plain else failure.getTraceback()
        log.critical("cannot start: {why}", why=why)
        if self._reactor.running:
            self._reactor.stop()

    async def _start(self) -> None:
        reactor, settings = self._reactor, self._settings
        Path(settings.service.state).mkdir(mode=0o700, parents=True, exist_ok=True)
        os.umask(0o077)
        self._lock = _lock(Path(settings.service.state) / "lock")
        self.store = store = Store(reactor, settings.store_url)
        self.pool = pool = Pool(reactor, settings.pods.connections, settings.pods.connect_timeout)
        agent: Any = pool
        keystone = Keystone(reactor, time.time, agent, settings.identity)
        catalog = Catalog(keystone)
        tokens = Tokens(time.time, keystone, settings.identity.token_cache)
        stretched = settings.network.mode == "stretched"
        own = {face.name: face.microversions.own for face in FACES if face.microversions}
        pods = Pods(
            reactor,
            pool,
            catalog,
            store,
            settings.pods.interface,
            own,
            settings.images,
            settings.network.region if stretched else "",
        )
        routes = Routes(reactor, time.time, store, pods, keystone.own_token)
        keypairs = Keypairs(reactor, _shown_now, store, pods, keystone.own_token)
        groups = ServerGroups(reactor, _shown_now, store, pods, keystone.own_token)
        await groups.load()
        self.passes = passes = Passes(reactor, time.time, settings.reconcile.interval)
        passes.add(keypairs)
        passes.add(groups)
        passes.add(Sweep(reactor, time.time, routes, pods, SERVER, keystone.own_token))
        if stretched:
            self.networks = Networks(
                reactor,
                time.time,
                store,
                pods,
                keystone.own_token,
                settings.network,
                settle_router,
            )
            self.networks.wake = lambda: passes.wake("networks", 5.0)
            passes.add(NetworkPass(self.networks, lambda: deferLater(reactor, 0)))
        parts = Parts(
            reactor,
            time.time,
            pods,
            routes,
            store,
            settings,
            catalog=catalog,
            tokens=tokens,
            keypairs=keypairs,
            groups=groups,
            passes=passes,
            networks=self.networks,
        )
        rules = {row.policy for face in FACES for row in face.operations if row.policy}
        policy = Policy(rules, settings.identity.policy_file)
        pipeline = Pipeline(reactor, tokens, policy, keystone.auth_url, settings.pods.timeout)
        await pods.reload()
        await pods.refresh()
        self._every(settings.pods.refresh, pods.refresh)
        self._every(RECHECK, pods.look_at_the_down)
        passes.start()
        if self.networks is not None:
            self.networks.wake()
        for kind in FACES:
            await self._listen(kind(parts), pipeline)
        # what was loaded stays: a look for garbage among it would stop all calls for 100 ms
        gc.collect()
        gc.freeze()
        log.info("Trio2o serves {count} pods", count=len(pods.all))

    def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def once() -> None:
            try:
                await work()
            except Exception:
                log.error("a periodic look failed\n{traceback}", traceback=traceback.format_exc())

        loop = LoopingCall(lambda: Deferred.fromCoroutine(once()))
        loop.clock = self._reactor
        loop.start(seconds, now=False)
        self._loops.append(loop)

    async def _listen(self, face: BaseFace, pipeline: Pipeline) -> None:
        listen = getattr(self._settings.faces, face.name).listen
        if not listen:
            return
        limits = _limits(self._settings, face.name)
        resource: Any = face.app.resource()
        face.site = FaceSite(self._reactor, face, resource, pipeline, limits)
        self.sites.append(face.site)
        endpoint = serverFromString(self._reactor, listen)
        self._ports.append(await endpoint.listen(face.site))
        log.info("{face} face at {listen}", face=face.name, listen=listen)

    async def _stop(self) -> None:
        for port in self._ports:
            await port.stopListening()
        for loop in self._loops:
            loop.stop()
        if self.passes is not None:
            self.passes.stop()
        if self.networks is not None:
            self.networks.stop()
        running = [task for site in self.sites for task in site.running]
        if running:
            log.info("{count} calls in flight are finished first", count=len(running))
            ended: Deferred[Any] = DeferredList(running, consumeErrors=True)
            limit: Deferred[None] = Deferred()
            timer = self._reactor.callLater(self._settings.service.shutdown, limit.callback, None)
            await DeferredList([ended, limit], fireOnOneCallback=True)
            if timer.active():
                timer.cancel()
        if self.pool is not None:
            await self.pool.close()
        if self.store is not None:
            self.store.close()

    def stopService(self) -> Deferred[None]:  # noqa: N802
        self.running = 0
        return Deferred.fromCoroutine(self._stop())


def _shown_now() -> str:
    """The time of day as OpenStack writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000")


def _lock(path: Path) -> TextIO:
    """Two processes on one state would overwrite each other. Raises `OSError`."""
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise OSError(f"another process uses {path.parent}") from None
    return file


def _limits(settings: Settings, face: str) -> Limits:
    limits = settings.limits
    image = face == "image"
    return Limits(
        header_bytes=limits.header_bytes,
        body_bytes=limits.image_bytes if image else limits.body_bytes,
        whole_bytes=limits.body_bytes,
        header_seconds=limits.header_seconds,
        body_seconds=0.0 if image else limits.body_seconds,
        idle_seconds=limits.idle_seconds,
    )
