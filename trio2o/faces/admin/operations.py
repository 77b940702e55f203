"""The admin API: every row and the verb that serves it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from trio2o.faces._health import HEALTH
from trio2o.faces.admin._bindings import create_binding, delete_binding, list_bindings, show_binding
from trio2o.faces.admin._definitions import choose_definition, list_definitions, show_definition
from trio2o.faces.admin._metrics import metrics, pod_health, pods_health
from trio2o.faces.admin._pods import (
    create_pod,
    delete_pod,
    list_pods,
    root,
    show_pod,
    update_pod,
    version,
)
from trio2o.faces.admin._reconcilers import list_reconcilers, run_reconciler, show_reconciler
from trio2o.faces.admin._routings import (
    create_routing,
    delete_routing,
    list_routings,
    show_routing,
    update_routing,
)
from trio2o.message import Answer, Call
from trio2o.verbs import Context, Operation, Reply, rows


def _ruled(what: str, say: Callable[[Call, Context], Awaitable[Answer]], line: str) -> Operation:
    """A row for whom the policy rule `admin_api:WHAT` lets."""
    return rows(Reply(say), line, policy=f"admin_api:{what}")[0]


OPERATIONS: tuple[Operation, ...] = (
    *rows(Reply(root), "GET /", open=True),
    *rows(Reply(version), "GET /v1.0/", open=True),
    *HEALTH,
    *rows(Reply(pods_health), "GET /healthcheck/pods", open=True),
    *rows(Reply(pod_health), "GET /healthcheck/pods/{name}", open=True),
    _ruled("metrics:show", metrics, "GET /metrics"),
    _ruled("pods:list", list_pods, "GET /v1.0/pods"),
    _ruled("pods:create", create_pod, "POST /v1.0/pods"),
    _ruled("pods:show", show_pod, "GET /v1.0/pods/{id}"),
    _ruled("pods:update", update_pod, "PUT /v1.0/pods/{id}"),
    _ruled("pods:delete", delete_pod, "DELETE /v1.0/pods/{id}"),
    _ruled("bindings:list", list_bindings, "GET /v1.0/bindings"),
    _ruled("bindings:create", create_binding, "POST /v1.0/bindings"),
    _ruled("bindings:show", show_binding, "GET /v1.0/bindings/{id}"),
    _ruled("bindings:delete", delete_binding, "DELETE /v1.0/bindings/{id}"),
    _ruled("definitions:list", list_definitions, "GET /v1.0/definitions/{kind}"),
    _ruled("definitions:show", show_definition, "GET /v1.0/definitions/{kind}/{id}"),
    _ruled("definitions:choose", choose_definition, "PUT /v1.0/definitions/{kind}/{id}"),
    _ruled("reconcilers:list", list_reconcilers, "GET /v1.0/reconcilers"),
    _ruled("reconcilers:show", show_reconciler, "GET /v1.0/reconcilers/{id}"),
    _ruled("reconcilers:run", run_reconciler, "POST /v1.0/reconcilers/{id}/run"),
    _ruled("routings:list", list_routings, "GET /v1.0/routings"),
    _ruled("routings:create", create_routing, "POST /v1.0/routings"),
    _ruled("routings:show", show_routing, "GET /v1.0/routings/{id}"),
    _ruled("routings:update", update_routing, "PUT /v1.0/routings/{id}"),
    _ruled("routings:delete", delete_routing, "DELETE /v1.0/routings/{id}"),
)
