"""Pods in memory, their versions and health, and the one way to send to them."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from attrs import frozen
from msgspec import Struct
from msgspec.structs import replace
from twisted.internet.defer import CancelledError, Deferred, DeferredLock
from txaio.tx import make_logger

from trio2o.domain.errors import IMAGES, PodTimeout, PodUnavailable, Unavailable
from trio2o.domain.tasks import together
from trio2o.domain.values import ACTIVE, Binding, Pod
from trio2o.domain.versions import Range, Version
from trio2o.identity import Catalog, KeystoneUnavailable
from trio2o.message import Answer, Call, read_answer
from trio2o.pods._endpoints import Endpoint
from trio2o.settings import ImagesSettings
from trio2o.store import Store
from trio2o.store.bindings import list_bindings
from trio2o.store.pods import list_pods
from trio2o.telemetry import Trace
from trio2o.upstream import Broken, Origin, Pool, Resting, Unreachable

log = make_logger()

SERVICES = ("compute", "volume", "network", "placement")


class Target(Struct, frozen=True):
    """Where a call of a tenant goes: a service, and how its path names the project."""

    service: str
    project_id: str
    with_project: bool = False


@frozen
class Load:
    """Calls under way, calls that wait, failures in a row, whether it is held to be down."""

    in_flight: int
    waiting: int
    failures: int
    down: bool


class _VersionEntry(msgspec.Struct):
    id: str
    version: str = ""
    min_version: str = ""


class _Versions(msgspec.Struct):
    versions: list[_VersionEntry]


class Pods:
    """All pods, and the bindings to them, held in memory and reloaded after each change."""

    def __init__(
        self,
        clock: Any,
        pool: Pool,
        catalog: Catalog,
        store: Store,
        interface: str,
        own: dict[str, Range],
        images: ImagesSettings,
        called: Callable[[str, str, float, str], None] = lambda *_: None,
        center: str = "",
    ) -> None:
        """`own` are the microversions that the faces know, by service. `called` is told of each
        call to a pod: its name, the service, seconds, and what failed ('' = nothing). `center` is
        the region of the top Neutron, '' where there is none."""
        self._called = called
        self._images_url, self._images_region = images.url, images.region
        self._clock, self._pool, self._catalog, self._store = clock, pool, catalog, store
        self._interface, self._own = interface, own
        self._ranges: dict[tuple[str, str], Range] = {}
        self._offered: dict[str, Range] = {}
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._late: set[Origin] = set()
        self.top: Pod | None = None
        self.center = _center(center) if center else None
        self.all: tuple[Pod, ...] = ()
        self._bound: dict[str, dict[str, Binding]] = {}
        self._by_id: dict[str, Pod] = {}
        self._reloading = DeferredLock()
        self._watchers: list[Callable[[], None]] = []

    def watch(self, told: Callable[[], None]) -> None:
        """Have this called when a pod was added, or answers again."""
        self._watchers.append(told)

    def _tell(self) -> None:
        for told in self._watchers:
            told()

    async def reload(self) -> None:
        """Read the store again: after a change of pods or bindings, here or in another process."""
        async with self._reloading:  # an older reading never takes the place of a newer one
            await self._read()

    async def _read(self) -> None:
        pods = await self._store.read(list_pods)
        bindings = await self._store.read(list_bindings)
        self._bound = {}
        for binding in bindings:
            self.note(binding)
        self.top = next((pod for pod in pods if pod.is_top), None)
        self.all = tuple(pod for pod in pods if not pod.is_top)
        before, self._by_id = self._by_id, {pod.pod_id: pod for pod in self.all}
        self._offered.clear()
        self._find_endpoints()
        if set(self._by_id) - set(before):
            self._tell()

    def _find_endpoints(self) -> None:
        found = {}
        wanted = [(pod, service) for pod in self.all for service in SERVICES]
        if self.center is not None:
            wanted.append((self.center, "network"))
        for pod, service in wanted:
            url = self._catalog.url(pod.pod_name, service, self._interface)
            try:
                if url:
                    found[(pod.pod_id, service)] = Endpoint.parse(url, service)
            except ValueError:
                log.warn("pod {pod}: {url} is no URL", pod=pod.pod_name, url=url)
        self._endpoints = found

    def get(self, pod_id: str) -> Pod | None:
        return self._by_id.get(pod_id)

    def serving(self, service: str) -> tuple[Pod, ...]:
        """The pods that have the service. Raises `Unavailable` while it is not known which.

        An empty list would be believed, and what is in the pods be made a second time.
        """
        if self.all and not self._catalog.loaded:
            raise Unavailable("The pods cannot be found: the identity service was not reached yet.")
        return tuple(pod for pod in self.all if (pod.pod_id, service) in self._endpoints)

    def note(self, binding: Binding) -> None:
        """Take up a binding that was recorded; it takes the place of the one for that AZ."""
        self._bound.setdefault(binding.tenant_id, {})[binding.az_name] = binding

    def bindings(self, project_id: str) -> Mapping[str, Binding]:
        """The pods that the project uses, by AZ."""
        return self._bound.get(project_id, {})

    def zones(self) -> dict[str, list[Pod]]:
        """The pods of each AZ, AZs in the order of their names."""
        found: dict[str, list[Pod]] = {}
        for pod in self.all:
            for zone in pod.azs:
                found.setdefault(zone.name, []).append(pod)
        return dict(sorted(found.items()))

    def endpoint(self, pod: Pod, service: str) -> Endpoint:
        """Raises `PodUnavailable` if the catalog has none."""
        found = self._endpoints.get((pod.pod_id, service))
        if found is None:
            raise PodUnavailable(pod.pod_name, f"no {service} endpoint in the catalog")
        return found

    def is_down(self, pod: Pod, service: str) -> bool:
        """Whether the pod is known not to answer.

        To wait in vain once is enough: it counts as down until it has answered again.
        """
        found = self._endpoints.get((pod.pod_id, service))
        return found is None or self._is_away(found)

    def _is_away(self, endpoint: Endpoint) -> bool:
        return endpoint.origin in self._late or self._pool.breaker(endpoint.origin).is_open

    def health(self, pod: Pod) -> dict[str, str]:
        """Each service of the pod: "up", "down" or "absent"."""
        words = {}
        for service in SERVICES:
            if (pod.pod_id, service) not in self._endpoints:
                words[service] = "absent"
            else:
                # the last call tells; to be held down takes some more
                failing = self._pool.breaker(self.endpoint(pod, service).origin).failures
                words[service] = "down" if failing else "up"
        return words

    def offered(self, service: str) -> Range:
        """The microversions that all pods share, within those that we know."""
        if (told := self._offered.get(service)) is not None:
            return told
        offered = self._own[service]
        for pod in self.all:
            if known := self._ranges.get((pod.pod_id, service)):
                if both := offered.shared(known):
                    offered = both
                else:
                    log.error(
                        "pod {pod} shares no {service} microversion with the others",
                        pod=pod.pod_name,
                        service=service,
                    )
        self._offered[service] = offered
        return offered

    def speaks(self, pod: Pod, service: str, version: Version) -> bool:
        """Whether the pod is not known to lack a microversion."""
        known = self._ranges.get((pod.pod_id, service))
        return known is None or version in known

    async def send(
        self,
        pod: Pod,
        target: Target,
        call: Call,
        deadline: float,
        *,
        stream: bool = False,
        hurried: bool = False,
        trace: Trace | None = None,
    ) -> Answer:
        """The pod's answer; `call.path` stands below the version. Who is `hurried` and waits in
        vain has not learned that the pod is down. `trace` is the client's call that it is for.

        Raises `PodUnavailable` if nothing was done there, `PodTimeout` if that is not known.
        """
        service, project_id = target.service, target.project_id
        endpoint = self.endpoint(pod, service)
        path = endpoint.path(call.path, project_id, target.with_project)
        call = Call(call.method, path, call.query, call.headers, call.body)
        try:
            answer = await self._send(
                pod.pod_name, service, endpoint, call, deadline, stream, trace, project_id
            )
        except PodTimeout:
            if not hurried and self._clock.seconds() >= deadline - 0.01:
                self._late.add(endpoint.origin)
            raise
        if answer.status == 406 and service in self._own:
            # what the pod speaks has changed since it was asked
            Deferred.fromCoroutine(self._look(pod.pod_id, service))
        return answer

    async def send_to_images(
        self, call: Call, deadline: float, *, stream: bool, trace: Trace | None = None
    ) -> Answer:
        """The real Glance's answer; `call.path` is whole. Raises as `send`."""
        endpoint = self.images()
        call = replace(call, path=endpoint.prefix.encode() + call.path)
        return await self._send(IMAGES, "image", endpoint, call, deadline, stream, trace)

    def images(self) -> Endpoint:
        """Where the real Glance is. Raises `PodUnavailable` if the catalog has none."""
        url = self._images_url or self._catalog.url(self._images_region, "image", self._interface)
        if url is None:
            raise PodUnavailable(IMAGES, f"none in the catalog, region {self._images_region}")
        return Endpoint.parse(url, "image")

    async def _send(
        self,
        name: str,
        service: str,
        endpoint: Endpoint,
        call: Call,
        deadline: float,
        stream: bool,
        trace: Trace | None,
        share: str = "",
    ) -> Answer:
        begun, failure = self._clock.seconds(), ""
        if trace is not None:
            trace.asks(name, begun)
        try:
            answer = await self._pool.send(call, endpoint.origin, deadline, share=share)
            if not stream and not isinstance(answer.body, bytes):
                answer = await read_answer(answer)
        except Unreachable as error:
            failure = "unavailable"
            raise PodUnavailable(name, str(error)) from None
        except Broken as error:
            failure = "timeout"
            raise PodTimeout(name, str(error)) from None
        except CancelledError:
            failure = "given up"
            raise
        except Exception as error:
            failure = "timeout"
            raise PodTimeout(name, repr(error)) from None
        finally:
            ended = self._clock.seconds()
            if trace is not None:
                trace.heard(ended)
            self._called(name, service, ended - begun, failure)
        if self._late:
            self._late.discard(endpoint.origin)
        return answer

    def load(self, pod: Pod, service: str) -> Load | None:
        """How busy a service of a pod is; None if it has none."""
        found = self._endpoints.get((pod.pod_id, service))
        if found is None:
            return None
        places, breaker = self._pool.places(found.origin), self._pool.breaker(found.origin)
        return Load(places.in_flight, places.waiting, breaker.failures, breaker.is_open)

    async def refresh(self) -> None:
        """Look again at the catalog, and at the versions and health of every pod."""
        try:
            await self._catalog.refresh()
        except KeystoneUnavailable as error:
            log.warn("the catalog was not refreshed: {why}", why=error.why)
        self._find_endpoints()
        await self._look_at(self._endpoints)

    async def look_at_the_down(self) -> None:
        """See whether those that were down have come back (each as often as its breaker allows)."""
        if not self._catalog.loaded:
            await self.refresh()
            return
        await self._look_at(
            key for key, endpoint in self._endpoints.items() if self._is_away(endpoint)
        )

    async def _look_at(self, keys: Iterable[tuple[str, str]]) -> None:
        await together(self._look(*key) for key in list(keys))

    async def _look(self, pod_id: str, service: str) -> None:
        """A version document: tells the range, and that the pod answers."""
        endpoint = self._endpoints[(pod_id, service)]
        known = self._by_id.get(pod_id)
        name = known.pod_name if known else pod_id
        was_down = self._pool.breaker(endpoint.origin).is_open
        call = Call("GET", f"{endpoint.prefix}/".encode())
        try:
            deadline = self._clock.seconds() + 10.0
            answer = await read_answer(
                await self._pool.send(call, endpoint.origin, deadline, probe=True)
            )
            assert isinstance(answer.body, bytes)
            if answer.status not in (200, 300):
                return
            self._late.discard(endpoint.origin)
            found = msgspec.json.decode(answer.body, type=_Versions)
            self._keep(pod_id, service, endpoint.version, found.versions)
            if was_down:
                log.info("pod {pod}: {service} answers again", pod=name, service=service)
                self._tell()
        except Resting:
            return  # it was said when it went down
        except Exception as error:
            log.warn("pod {pod}: {service}: {why}", pod=name, service=service, why=str(error))

    def _keep(
        self, pod_id: str, service: str, version: str, entries: Iterable[_VersionEntry]
    ) -> None:
        major = version.strip("/").split(".")[0]
        for entry in entries:
            if entry.id.split(".")[0] == major and entry.min_version and entry.version:
                least, most = Version.parse(entry.min_version), Version.parse(entry.version)
                self._ranges[(pod_id, service)] = Range(least, most)
                self._offered.clear()


def _center(region: str) -> Pod:
    """The top Neutron, sent to as if it were a pod, but none of `all`."""
    return Pod(region, 0, region, "", "", "", ACTIVE, "")
