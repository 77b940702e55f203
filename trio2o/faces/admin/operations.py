"""The admin API: every row and the verb that serves it."""

from collections.abc import Awaitable, Callable

from trio2o.faces._health import HEALTH
from trio2o.faces.admin import _bindings as bindings
from trio2o.faces.admin import _definitions as definitions
from trio2o.faces.admin import _metrics as metrics
from trio2o.faces.admin import _pods as pods
from trio2o.faces.admin import _reconcilers as reconcilers
from trio2o.faces.admin import _routings as routings
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Operation, Reply, rows


def _ruled(what: str, say: Callable[[Call, Context], Awaitable[Answer]], line: str) -> Operation:
    """A row for whom the policy rule `admin_api:WHAT` lets."""
    return rows(Reply(say), line, policy=f"admin_api:{what}")[0]


OPERATIONS: tuple[Operation, ...] = (
    *rows(Reply(pods.root), "GET /", open=True),
    *rows(Reply(pods.version), "GET /v1.0/", open=True),
    *HEALTH,
    *rows(Reply(metrics.pods_health), "GET /healthcheck/pods", open=True),
    *rows(Reply(metrics.pod_health), "GET /healthcheck/pods/{name}", open=True),
    _ruled("metrics:show", metrics.metrics, "GET /metrics"),
    _ruled("pods:list", pods.list_pods, "GET /v1.0/pods"),
    _ruled("pods:create", pods.create_pod, "POST /v1.0/pods"),
    _ruled("pods:show", pods.show_pod, "GET /v1.0/pods/{id}"),
    _ruled("pods:update", pods.update_pod, "PUT /v1.0/pods/{id}"),
    _ruled("pods:delete", pods.delete_pod, "DELETE /v1.0/pods/{id}"),
    _ruled("bindings:list", bindings.list_bindings, "GET /v1.0/bindings"),
    _ruled("bindings:create", bindings.create_binding, "POST /v1.0/bindings"),
    _ruled("bindings:show", bindings.show_binding, "GET /v1.0/bindings/{id}"),
    _ruled("bindings:delete", bindings.delete_binding, "DELETE /v1.0/bindings/{id}"),
    _ruled("definitions:list", definitions.list_definitions, "GET /v1.0/definitions/{kind}"),
    _ruled("definitions:show", definitions.show_definition, "GET /v1.0/definitions/{kind}/{id}"),
    _ruled(
        "definitions:choose", definitions.choose_definition, "PUT /v1.0/definitions/{kind}/{id}"
    ),
    _ruled("reconcilers:list", reconcilers.list_reconcilers, "GET /v1.0/reconcilers"),
    _ruled("reconcilers:show", reconcilers.show_reconciler, "GET /v1.0/reconcilers/{id}"),
    _ruled("reconcilers:run", reconcilers.run_reconciler, "POST /v1.0/reconcilers/{id}/run"),
    _ruled("routings:list", routings.list_routings, "GET /v1.0/routings"),
    _ruled("routings:create", routings.create_routing, "POST /v1.0/routings"),
    _ruled("routings:show", routings.show_routing, "GET /v1.0/routings/{id}"),
    _ruled("routings:update", routings.update_routing, "PUT /v1.0/routings/{id}"),
    _ruled("routings:delete", routings.delete_routing, "DELETE /v1.0/routings/{id}"),
)
