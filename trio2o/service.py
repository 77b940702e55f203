"""The appliance as a Twisted service: settings in, a list of parts out."""

from __future__ import annotations

import gc
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Coroutine, Iterable
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.endpoints import serverFromString, wrapServerTLS
from twisted.internet.error import CannotListenError
from twisted.internet.task import LoopingCall, cooperate, deferLater
from twisted.python import usage
from txaio.tx import make_logger, set_global_log_level

from trio2o.definitions import (
    KINDS,
    NEUTRON_KINDS,
    Definitions,
    Keypairs,
    Means,
    Places,
    ServerGroups,
)
from trio2o.domain.errors import Unavailable
from trio2o.faces import BaseFace, Parts
from trio2o.faces.admin import AdminFace, figures
from trio2o.faces.compute import ComputeFace
from trio2o.faces.image import ImageFace
from trio2o.faces.network import NetworkFace
from trio2o.faces.resources import SWEPT
from trio2o.faces.volume import VolumeFace
from trio2o.identity import ADMIN, Catalog, Keystone, Policy, Tokens
from trio2o.networks import NetworkPass, Networks, settle_router
from trio2o.pods import Capacity, Pods
from trio2o.reconcile import Lease, Passes, Reconcilers
from trio2o.routes import Routes, Sweep
from trio2o.running import Certificates, Health, Notifier
from trio2o.settings import BadSettings, PortSettings, Settings, differences, load
from trio2o.state import lock_state
from trio2o.store import EVERY, Held, NewerSchema, Store
from trio2o.store.lease import break_lease
from trio2o.telemetry import Telemetry
from trio2o.upstream import Pool, Trust
from trio2o.web import FaceSite, JointSite, Limits, Pipeline, Shares
from trio2o.workers import Worker, Workers

log = make_logger()

FACES: tuple[type[BaseFace], ...] = (AdminFace, ComputeFace, VolumeFace, NetworkFace, ImageFace)

LIVE = (
    *("service.shutdown", "service.drain", "service.disable_file", "service.proxies"),
    *("log.", "limits.", "pods.timeout", "pods.ca_file"),
    *("identity.token_cache", "identity.policy_file"),
)
"""Settings that a reload takes over: these, and sections (with a dot at the end)."""

ON_THEIR_WAY = 1.0
"""Seconds after the end of listening for which connections without a call stay open."""

LOOK = 2.0
"""Seconds between looks at the figures of a worker."""

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
        return Appliance(reactor, settings, Worker.parse(worker), config)
    if settings.service.workers > 1:
        return Workers(reactor, settings, config)
    return Appliance(reactor, settings, path=config)


class Appliance(Service):
    """All faces in one process, alone or one of several workers. It listens once the store and the
    catalog were read."""

    def __init__(
        self, reactor: Any, settings: Settings, worker: Worker | None = None, path: str = ""
    ) -> None:
        """`path` is the settings' file, for SIGHUP to read it again ('' = there is none)."""
        self._reactor, self._settings, self._worker = reactor, settings, worker
        self._path = path
        self.sites: list[FaceSite] = []
        self.failed = False
        self.health = Health(settings.service.disable_file)
        self.notifier = Notifier(reactor, os.environ)
        self.store: Store | None = None
        self.pool: Pool | None = None
        self.networks: Networks | None = None
        self.reconcilers: Reconcilers | None = None
        self.telemetry: Telemetry | None = None
        self._reloads: list[Callable[[Settings], None]] = []
        self._ports: list[Any] = []
        self._loops: list[LoopingCall] = []

    def startService(self) -> None:  # noqa: N802
        self.running = 1
        if self._path and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGHUP, lambda *_: self._reactor.callFromThread(self.reload))
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
        logs = settings.telemetry
        self.telemetry = telemetry = Telemetry(logs.access_log, logs.audit_log)
        metrics = telemetry.metrics
        store.committed = metrics.committed
        if settings.pods.insecure:
            log.warn("pods.insecure: certificates of Keystone, Glance and the pods are not checked")
        trust = Trust(settings.pods.ca_file, insecure=settings.pods.insecure)
        self._reloads.append(lambda new: trust.load(new.pods.ca_file))
        self.pool = pool = Pool(
            reactor,
            settings.pods.connections,
            settings.pods.connect_timeout,
            share=settings.pods.project_connections,
            trust=trust,
        )
        agent: Any = pool
        keystone = Keystone(reactor, time.time, agent, settings.identity)
        catalog = Catalog(keystone)
        believed = settings.identity.token_cache
        tokens = Tokens(time.time, keystone, believed, metrics.token_looked_up)
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
            metrics.pod_called,
            settings.network.region if stretched else "",
        )
        routes = Routes(reactor, time.time, store, pods, keystone.own_token)
        means = Means(reactor, _shown_now, store, pods, keystone.own_token)
        keypairs, groups = Keypairs(means), ServerGroups(means)
        await groups.places.load()
        passes = Passes(reactor, time.time, settings.reconcile.interval)
        lease = Lease(time.monotonic, store, _process_name(), settings.reconcile.lease)
        self.reconcilers = reconcilers = Reconcilers(reactor, store, passes, lease)
        definitions: dict[str, Definitions] = {}

        def places(kind: str) -> Places:
            return definitions[kind].places

        mend = settings.reconcile.definitions == "mend"
        for kind in (*KINDS, *(() if stretched else NEUTRON_KINDS)):
            one = kind(means, places)
            definitions[one.name] = Definitions(means, one, passes.wake, mend=mend)
        for each in definitions.values():
            await each.places.load()
            passes.add(each)
        passes.add(keypairs)
        passes.add(groups)
        passes.add(Sweep(reactor, time.time, routes, pods, SWEPT, keystone.own_token))
        if stretched:
            self.networks = Networks(
                reactor, time.time, store, pods, keystone.own_token, settings.network, settle_router
            )
            self.networks.wake = lambda: passes.wake("networks", 5.0)
            mend = settings.reconcile.networks == "mend"
            passes.add(NetworkPass(self.networks, lambda: deferLater(reactor, 0), mend))
        shares = Shares(reactor)
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
            telemetry=telemetry,
            shares=shares,
            health=self.health.reason,
            check=lambda rule, caller: pipeline.policy.check(rule, caller),
            networks=self.networks,
        )
        rules = {row.policy: ADMIN for face in FACES for row in face.operations if row.policy}
        rules |= ComputeFace.rules
        pipeline = Pipeline(
            reactor,
            tokens,
            policy := Policy(rules, settings.identity.policy_file),
            keystone.auth_url,
            settings.pods.timeout,
            shares=shares,
            ended=telemetry.ended,
        )

        def configure(new: Settings) -> None:
            """What calls are served by, and may change."""
            pipeline.timeout = new.pods.timeout
            pipeline.proxies = new.proxies
            shares.limit = new.limits.project_calls
            tokens.believed = new.identity.token_cache

        if settings.telemetry.metrics == "open":
            pipeline.opened = frozenset(("/metrics",))
        configure(settings)

        def reconfigure(new: Settings) -> None:
            pipeline.policy = Policy(rules, new.identity.policy_file)
            configure(new)

        self._reloads.append(reconfigure)
        await pods.reload()
        await pods.refresh()
        self._every(settings.pods.refresh, pods.refresh)
        self._every(RECHECK, pods.look_at_the_down)
        pods.watch(passes.wake_all)
        if self._worker is not None:

            async def look() -> None:
                """For whichever process is asked for metrics."""
                metrics.look(figures(parts))

            self._every(LOOK, look)
        held = Held(store)
        held.follow(self._pods_changed(pods, routes), "pods", "bindings")
        held.follow(groups.places.load, "settled")
        for each in definitions.values():
            held.follow(each.places.load, "settled")
        held.follow(reconcilers.settle, "passes")
        await held.look()
        self._every(EVERY, held.look)
        await reconcilers.look()
        self._every(lease.looks, reconcilers.look)
        for each in definitions.values():
            passes.wake(each.name)  # what was under way when we ended is found out
        if self.networks is not None:
            self.networks.wake()
        await self._serve((face(parts) for face in FACES), pipeline)
        # what was loaded stays: a look for garbage among it would stop all calls for 100 ms
        gc.collect()
        gc.freeze()
        gc.set_threshold(10_000, 20, 20)  # calls leave few cycles behind
        if self._worker is not None:
            self._worker.is_ready()
        mounting = chain.from_iterable(kind.app.mounting() for kind in FACES)
        made = chain(mounting, map(Policy.load, (policy,)))
        cooperate(made).whenDone().addCallback(lambda _: gc.freeze())
        log.info("{who} serves {count} pods", who=self._worker or "Trio2o", count=len(pods.all))
        self.notifier.ready(f"{len(pods.all)} pods")

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

    async def _serve(self, faces: Iterable[BaseFace], pipeline: Pipeline) -> None:
        """Have the faces listen, each on its own port, or all on one."""
        ports = self._settings.faces
        sites = {
            face.name: FaceSite(
                self._reactor, face, face.app, pipeline, _limits(self._settings, face.name)
            )
            for face in faces
            if getattr(ports, face.name).listen or ports.all.listen
        }
        if ports.all.listen:
            sites["all"] = JointSite(sites, _limits(self._settings, "all"))
        self.sites = list(sites.values())

        def limit(new: Settings) -> None:
            for name, site in sites.items():
                site.limits = _limits(new, name)

        self._reloads.append(limit)
        for name, site in sites.items():
            if getattr(ports, name).listen:
                await self._listen(name, site, getattr(ports, name))

    async def _listen(self, name: str, site: FaceSite, own: PortSettings) -> None:
        if self._worker is None:
            endpoint = serverFromString(self._reactor, own.listen)
        else:
            endpoint = self._worker.endpoint(self._reactor, name, own.listen)
        if own.certificate:
            certificates: Any = Certificates(own.certificate, own.private_key)
            endpoint = wrapServerTLS(certificates, endpoint)
            self._reloads.append(lambda new: certificates.reload())
        self._ports.append(await endpoint.listen(site))
        log.info("{face} face at {listen}", face=name, listen=own.listen)

    def reload(self) -> None:
        """Take over what may change in the settings' file, and read other files again."""
        self.notifier.reloading()
        try:
            new = load(self._path)
            if self._worker is not None:
                new = self._worker.share(new)
        except BadSettings as error:
            log.error("nothing was reloaded: {error}", error=error)
        else:
            changed = list(differences(self._settings, new))
            log.info("the settings were read again; changed: {changed}", changed=changed)
            for name in changed:
                if not name.startswith(LIVE):
                    log.warn("{name} is taken over at the next start", name=name)
            self._settings = new
            self.health.disable_file = new.service.disable_file
            set_global_log_level(new.log.level)
            for take_over in self._reloads:
                try:
                    take_over(new)
                except (OSError, ValueError) as error:
                    log.error("what was read before stays: {error}", error=error)
        if self.telemetry is not None:
            self.telemetry.reopen()
        self.notifier.tell("READY=1")

    async def _stop(self) -> None:
        self.health.draining = True
        self.notifier.stopping()
        if self._ports and self._settings.service.drain:
            await deferLater(self._reactor, self._settings.service.drain)
        for site in self.sites:
            site.draining = True
        for port in self._ports:
            await port.stopListening()
        for loop in self._loops:
            loop.stop()
        if self.reconcilers is not None:
            await self.reconcilers.stop()
        if self.networks is not None:
            self.networks.stop()
        await self._drain()
        if self.pool is not None:
            await self.pool.close()
        if self.store is not None:
            self.store.close()
        if self.telemetry is not None:
            self.telemetry.close()
        self.notifier.close()

    async def _drain(self) -> None:
        """Calls in flight, and those on their way on open connections, are finished first."""
        begun, limit = self._reactor.seconds(), self._settings.service.shutdown
        if count := sum(len(site.running) for site in self.sites):
            log.info("{count} calls in flight are finished first", count=count)

        def left(end: float) -> float:
            seconds: float = begun + end - self._reactor.seconds()
            return seconds

        while left(min(ON_THEIR_WAY, limit)) > 0 and any(site.in_use for site in self.sites):
            await deferLater(self._reactor, 0.05)
        ended: Deferred[Any] = DeferredList([site.close() for site in self.sites])
        late: Deferred[None] = deferLater(self._reactor, max(left(limit), 0))
        late.addErrback(lambda failure: failure.trap(CancelledError))
        await DeferredList([ended, late], fireOnOneCallback=True)
        if not ended.called:
            log.warn("calls in flight were not finished in time")
        late.cancel()

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
