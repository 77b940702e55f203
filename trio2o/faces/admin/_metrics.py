"""Metrics, and whether each pod is ready."""

from collections.abc import Iterator
from typing import Any

from trio2o.domain.errors import NotFound
from trio2o.domain.values import Pod
from trio2o.message import Answer, Call
from trio2o.telemetry import Figure, Metrics
from trio2o.verbs import Context, json_answer

SERVICES = ("compute", "volume", "network")


async def metrics(call: Call, context: Context) -> Answer:
    """All metrics, in the text format of Prometheus."""
    if context.parts.settings.telemetry.metrics == "off":
        raise NotFound("The resource could not be found.")
    found: Metrics = context.parts.telemetry.metrics
    found.look(figures(context.parts))
    return Answer(200, ((b"Content-Type", Metrics.content_type),), found.text())


def figures(parts: Any) -> Iterator[Figure]:
    """What is looked at when metrics are asked for."""
    for pod in parts.pods.all:
        for service in SERVICES:
            if load := parts.pods.load(pod, service):
                labels = {"pod": pod.pod_name, "service": service}
                yield Figure("pod_calls_in_flight", labels, load.in_flight)
                yield Figure("pod_calls_waiting", labels, load.waiting)
                yield Figure("pod_failures_in_a_row", labels, load.failures)
                yield Figure("pod_breaker_open", labels, load.down)
    yield Figure("tokens_cached", {}, parts.tokens.cached)
    yield Figure("calls_in_progress", {}, parts.shares.under_way)
    yield Figure("calls_waiting", {}, parts.shares.waiting)
    yield Figure("log_lines_lost", {}, parts.telemetry.lost)
    for name in parts.reconcilers.names():
        report, labels = parts.reconcilers.report(name), {"reconciler": name}
        yield Figure("reconciler_last_pass_timestamp_seconds", labels, report["last"])
        yield Figure("reconciler_seconds", labels, report["seconds"])
        yield Figure("reconciler_drift", labels, report["drift"])
        yield Figure("reconciler_failed", labels, report["failed"])


def _ready(pod: Pod, context: Context) -> dict[str, Any]:
    services = context.pods.health(pod)
    ready = all(word == "up" for word in services.values())
    return {"pod_name": pod.pod_name, "ready": ready, "services": services}


async def pods_health(call: Call, context: Context) -> Answer:
    """Each pod with its services: 200 as long as one of them is ready, or there are none."""
    shown = [_ready(pod, context) for pod in context.pods.all]
    fine = not shown or any(one["ready"] for one in shown)
    return json_answer(200 if fine else 503, {"pods": shown})


async def pod_health(call: Call, context: Context) -> Answer:
    """One pod by its name: 200 if all its services answer, else 503."""
    found = [pod for pod in context.pods.all if pod.pod_name == context.params["name"]]
    if not found:
        raise NotFound("Pod not found")
    shown = _ready(found[0], context)
    return json_answer(200 if shown["ready"] else 503, {"pod": shown})
