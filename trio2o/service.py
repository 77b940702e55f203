"""The appliance as a Twisted service: settings in, a list of parts out."""

from __future__ import annotations

import gc
import os
import socket
import time
import traceback
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall
from twisted.python import usage
from txaio.tx import make_logger

from trio2o.definitions import Aggregates, Definitions, Flavors, Keypairs, ServerGroups
from trio2o.domain.errors import Unavailable
from trio2o.faces import BaseFace, Parts
from trio2o.faces.admin import AdminFace
from trio2o.faces.compute import ComputeFace
from trio2o.faces.image import ImageFace
from trio2o.faces.network import NetworkFace
from trio2o.faces.resources import SERVER
from trio2o.faces.volume import VolumeFace
from trio2o.identity import Catalog, Keystone, Policy, Tokens
from trio2o.pods import Capacity, Pods
from trio2o.reconcile import Lease, Passes, Reconcilers
from trio2o.routes import Routes, Sweep
from trio2o.settings import BadSettings, Settings, load
from trio2o.state import lock_state
from trio2o.store import EVERY, Held, NewerSchema, Store
from trio2o.store.lease import break_lease
from trio2o.upstream import Pool
from trio2o.web import FaceSite, Limits, Pipeline
from trio2o.workers import Worker, Workers

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

    config = options["config"]
    try:
        appliance = appliance_of(reactor, load(config), config)
    except BadSettings as error:
        raise SystemExit(f"trio2o: {error}") from None

    def tell() -> None:
        """twistd itself would end with 0 after a start that failed."""
        if appliance.failed:
            os._exit(1)

    running: Any = reactor
    running.addSystemEventTrigger("after", "shutdown", tell)
    return appliance


def appliance_of(
    reactor: Any, settings: Settings, config: str, worker: str = ""
) -> Appliance | Workers:
    """What is to run in this process: the appliance, or the parent of several; `config` is the
    settings' file, `worker` what a parent told this one."""
    if worker:
        return Appliance(reactor, settings, Worker.parse(worker))
    if settings.service.workers > 1:
        return Workers(reactor, settings, config)
    return Appliance(reactor, settings)


class Appliance(Service):
    """All faces in one process, alone or one of several workers. It listens once the store and the
    catalog were read."""

    def __init__(self, reactor: Any, settings: Settings, worker: Worker | None = None) -> None:
        self._reactor, self._settings, self._worker = reactor, settings, worker
        self.sites: list[FaceSite] = []
        self.failed = False
        self.store: Store | None = None
        self.pool: Pool | None = None
        self.reconcilers: Reconcilers | None = None
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
        if self._worker is None:
            self._lock = lock_state(settings)
        else:
            settings = self._settings = self._worker.share(settings)
            self._worker.begin(reactor)
        self.store = store = Store(reactor, settings.store_url)
        if self._worker is None:
            await store.write(break_lease)
        self.pool = pool = Pool(reactor, settings.pods.connections, settings.pods.connect_timeout)
        agent: Any = pool
        keystone = Keystone(reactor, time.time, agent, settings.identity)
        catalog = Catalog(keystone)
        tokens = Tokens(time.time, keystone, settings.identity.token_cache)
        own = {face.name: face.microversions.own for face in FACES if face.microversions}
        pods = Pods(
            reactor,
            pool,
            catalog,
            store,
            settings.pods.interface,
            own,
            settings.images,
        )
        routes = Routes(reactor, time.time, store, pods, keystone.own_token)
        keypairs = Keypairs(reactor, _shown_now, store, pods, keystone.own_token)
        groups = ServerGroups(reactor, _shown_now, store, pods, keystone.own_token)
        await groups.load()
        passes = Passes(reactor, time.time, settings.reconcile.interval)
        lease = Lease(time.monotonic, store, _process_name(), settings.reconcile.lease)
        self.reconcilers = reconcilers = Reconcilers(reactor, store, passes, lease)
        kinds = (
            Flavors(reactor, pods, keystone.own_token),
            Aggregates(reactor, pods, keystone.own_token),
        )
        mend = settings.reconcile.definitions == "mend"
        definitions = {
            kind.name: Definitions(
                reactor, _shown_now, store, pods, keystone.own_token, kind, passes.wake, mend=mend
            )
            for kind in kinds
        }
        for each in definitions.values():
            await each.places.load()
            passes.add(each)
        passes.add(keypairs)
        passes.add(groups)
        passes.add(Sweep(reactor, time.time, routes, pods, SERVER, keystone.own_token))
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
            definitions=definitions,
            reconcilers=reconcilers,
            capacity=Capacity(reactor, pods, keystone.own_token, settings.scheduling.timeout),
        )
        rules = {row.policy for face in FACES for row in face.operations if row.policy}
        policy = Policy(rules, settings.identity.policy_file)
        pipeline = Pipeline(reactor, tokens, policy, keystone.auth_url, settings.pods.timeout)
        await pods.reload()
        await pods.refresh()
        self._every(settings.pods.refresh, pods.refresh)
        self._every(RECHECK, pods.look_at_the_down)
        pods.watch(passes.wake_all)
        held = Held(store)
        held.follow(self._pods_changed(pods, routes), "pods", "bindings")
        held.follow(groups.load, "server_group_pods")
        for each in definitions.values():
            held.follow(each.places.load, "settled")
        held.follow(reconcilers.settle, "passes")
        await held.look()
        self._every(EVERY, held.look)
        await reconcilers.look()
        self._every(lease.looks, reconcilers.look)
        for each in definitions.values():
            passes.wake(each.name)  # what was under way when we ended is found out
        for kind in FACES:
            await self._listen(kind(parts), pipeline)
        # what was loaded stays: a look for garbage among it would stop all calls for 100 ms
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)  # calls leave few cycles behind
        if self._worker is not None:
            self._worker.is_ready()
        log.info("{who} serves {count} pods", who=self._worker or "Trio2o", count=len(pods.all))

    def _pods_changed(self, pods: Pods, routes: Routes) -> Callable[[], Coroutine[Any, Any, None]]:
        """What is done when this process or another changed pods or bindings."""

        async def changed() -> None:
            before = set(pods.all)
            await pods.reload()
            for gone in before.difference(pods.all):
                routes.drop_pod(gone.pod_id)
            if new := set(pods.all) - before:
                log.info("pods: {names}", names=", ".join(sorted(pod.pod_name for pod in new)))
                routes.look_again()
                Deferred.fromCoroutine(pods.refresh())  # slow pods do not hold up what follows

        return changed

    def _every(self, seconds: float, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        async def once() -> None:
            try:
                await work()
            except Unavailable:
                return  # the store's, which tells of it itself
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
        site = FaceSite(self._reactor, face, face.app, pipeline, limits)
        self.sites.append(site)
        if self._worker is None:
            endpoint = serverFromString(self._reactor, listen)
        else:
            endpoint = self._worker.endpoint(self._reactor, face.name, listen)
        self._ports.append(await endpoint.listen(site))
        log.info("{face} face at {listen}", face=face.name, listen=listen)

    async def _stop(self) -> None:
        for port in self._ports:
            await port.stopListening()
        for loop in self._loops:
            loop.stop()
        if self.reconcilers is not None:
            await self.reconcilers.stop()
        if count := sum(len(site.running) for site in self.sites):
            log.info("{count} calls in flight are finished first", count=count)
        ended: Deferred[Any] = DeferredList([site.close() for site in self.sites])
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


def _process_name() -> str:
    """This process among those that share a store: for people its host and number, and unique."""
    return f"{socket.gethostname()}:{os.getpid()}:{os.urandom(4).hex()}"


def _shown_now() -> str:
    """The time of day as OpenStack writes it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000000")


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
