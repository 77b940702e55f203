"""Metrics for Prometheus. Labels are rows of tables, pods and statuses: never ids."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from attrs import frozen
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
OWN = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)


def _joined() -> bool:
    return bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))


@frozen
class Figure:
    """A value that is looked at when it is asked for."""

    name: str
    labels: dict[str, str]
    value: float


FIGURES = {
    "pod_calls_in_flight": ("Calls to a service of a pod under way.", "livesum"),
    "pod_calls_waiting": ("Calls that wait for a place at a service of a pod.", "livesum"),
    "pod_breaker_open": ("1 while a service of a pod is held to be down.", "livemax"),
    "pod_failures_in_a_row": ("Calls to a service of a pod that failed since one did not.", "max"),
    "tokens_cached": ("Tokens in memory.", "livesum"),
    "calls_in_progress": ("Calls of clients under way.", "livesum"),
    "calls_waiting": ("Calls that wait because their project has many under way.", "livesum"),
    "reconciler_last_pass_timestamp_seconds": ("When a reconciler passed last.", "max"),
    "reconciler_seconds": ("How long a reconciler's last pass took.", "mostrecent"),
    "reconciler_drift": ("Differences that a reconciler's last pass found.", "mostrecent"),
    "reconciler_failed": ("What a reconciler's last pass could not mend.", "mostrecent"),
    "log_lines_lost": ("Lines of the access or audit log that could not be written.", "sum"),
}
"""What is looked at: its meaning, and how several processes' values are joined."""


def operation(row: Any) -> str:
    """`POST /v2.1/servers/{id}/action reboot`."""
    words = (row.method, row.path, getattr(row, "action", ""))
    return " ".join(word for word in words if word)


def verb(row: Any) -> str:
    return type(getattr(row, "verb", None)).__name__.lstrip("_").lower()


class _Count:
    """What a counter is to be raised by. Most of its own time goes into locks and checks, and
    every call counts five things."""

    __slots__ = ("_counter", "count")

    def __init__(self, counter: Counter) -> None:
        self._counter, self.count = counter, 0

    def settle(self) -> None:
        self._counter.inc(self.count)
        self.count = 0


class _Times:
    """What a histogram is to be told, by its buckets: it has no public way to add many at once."""

    __slots__ = ("_bounds", "_counts", "_histogram", "_sum")

    def __init__(self, histogram: Any) -> None:
        self._histogram, self._sum = histogram, 0.0
        self._bounds: list[float] = histogram._upper_bounds
        self._counts = [0] * len(self._bounds)

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._sum += seconds

    def settle(self) -> None:
        self._histogram._sum.inc(self._sum)
        self._sum = 0.0
        for place, count in enumerate(self._counts):
            if count:
                self._histogram._buckets[place].inc(count)
                self._counts[place] = 0


class Metrics:
    """Counters and histograms, with children bound once for each combination that was seen.

    Where PROMETHEUS_MULTIPROC_DIR names a folder, the processes that share it are joined.
    """

    content_type = b"text/plain; version=0.0.4; charset=utf-8"

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        labels = ("face", "operation", "verb", "pod", "status")
        self._requests = Counter(
            "trio2o_requests", "Calls of clients that were answered.", labels, registry=registry
        )
        self._seconds = Histogram(
            "trio2o_request_seconds",
            "From a call's head to its answer's, pods included.",
            ("face", "operation"),
            buckets=SECONDS,
            registry=registry,
        )
        self._own = Histogram(
            "trio2o_own_seconds",
            "The same without the pod, where one pod gave the answer.",
            ("face",),
            buckets=OWN,
            registry=registry,
        )
        self._pods = Histogram(
            "trio2o_pod_request_seconds",
            "From a call to a pod to its answer's head.",
            ("pod", "service"),
            buckets=SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "trio2o_pod_failures",
            "Calls to pods without an answer: unavailable (not sent) or timeout (not known).",
            ("pod", "service", "kind"),
            registry=registry,
        )
        self._commits = Histogram(
            "trio2o_store_commit_seconds",
            "How long a commit of the store took.",
            buckets=SECONDS,
            registry=registry,
        )
        self._changes = Counter(
            "trio2o_store_changes", "Changes that were committed.", registry=registry
        )
        lookups = Counter(
            "trio2o_token_lookups", "Tokens looked up.", ("found",), registry=registry
        )
        self._unknown = _Count(lookups.labels("not in memory"))
        self._known = _Count(lookups.labels("in memory"))
        self._gauges: dict[str, Gauge] = {}
        self._bound: dict[tuple[Any, ...], tuple[_Count, _Times, _Times]] = {}
        self._times: dict[Any, _Times] = {}

    def called(
        self, face: str, row: Any, chosen: bool, status: int, pod: str, seconds: float, pods: float
    ) -> None:
        """A call was answered. `chosen`: it is this row, not just one of its path."""
        key = (id(row), chosen, status, pod, face)
        bound = self._bound.get(key)
        if bound is None:
            bound = self._bound[key] = self._bind(face, row, chosen, status, pod)
        requests, took, own = bound
        requests.count += 1
        took.add(seconds)
        if pods:
            own.add(seconds - pods)

    def _bind(
        self, face: str, row: Any, chosen: bool, status: int, pod: str
    ) -> tuple[_Count, _Times, _Times]:
        if row is None:
            name, kind = "none", "none"
        elif chosen:
            name, kind = operation(row), verb(row)
        else:
            name, kind = f"{row.method} {row.path}", "none"
        return (
            _Count(self._requests.labels(face, name, kind, pod, str(status))),
            self._times_of(self._seconds, face, name),
            self._times_of(self._own, face),
        )

    def _times_of(self, histogram: Histogram, *labels: str) -> _Times:
        key = (histogram, labels)
        if (found := self._times.get(key)) is None:
            found = self._times[key] = _Times(histogram.labels(*labels))
        return found

    def pod_called(self, pod: str, service: str, seconds: float, failure: str = "") -> None:
        """A pod answered, or did not: `failure` is "unavailable" or "timeout"."""
        if failure:
            self._failures.labels(pod, service, failure).inc()
            return
        key = (pod, service)
        if (found := self._times.get(key)) is None:
            found = self._times[key] = self._times_of(self._pods, pod, service)
        found.add(seconds)

    def token_looked_up(self, known: bool) -> None:
        (self._known if known else self._unknown).count += 1

    def settle(self) -> None:
        """Hand over what was counted since."""
        for count in (self._known, self._unknown, *(bound[0] for bound in self._bound.values())):
            count.settle()
        for times in self._times.values():
            times.settle()

    def committed(self, seconds: float, changes: int) -> None:
        """The store committed. May be called in any thread."""
        self._commits.observe(seconds)
        self._changes.inc(changes)

    def look(self, figures: Iterable[Figure]) -> None:
        """Take over what was looked at just now; what is not there any more goes (but where
        processes are joined)."""
        self.settle()
        seen = set()
        for figure in figures:
            gauge = self._gauge(figure)
            if figure.name not in seen:
                seen.add(figure.name)
                if figure.labels and not _joined():
                    gauge.clear()
            child = gauge.labels(**figure.labels) if figure.labels else gauge
            child.set(figure.value)

    def _gauge(self, figure: Figure) -> Gauge:
        name = figure.name
        if name not in self._gauges:
            doc, joined = FIGURES[name]
            self._gauges[name] = Gauge(
                f"trio2o_{name}",
                doc,
                tuple(figure.labels),
                registry=self.registry,
                multiprocess_mode=joined,  # type: ignore[arg-type]
            )
        return self._gauges[name]

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        self.settle()
        registry = self.registry
        if _joined():
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
