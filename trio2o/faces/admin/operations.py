"""The admin API: every row and the verb that serves it."""

from __future__ import annotations

from trio2o.faces._health import HEALTH
from trio2o.faces.admin._bindings import (
    create_binding,
    delete_binding,
    list_bindings,
    show_binding,
)
from trio2o.faces.admin._definitions import (
    choose_definition,
    list_definitions,
    show_definition,
)
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
from trio2o.verbs import Operation, Reply, rows

OPERATIONS: tuple[Operation, ...] = (
    *rows(Reply(root), "GET /", open=True),
    *rows(Reply(version), "GET /v1.0/", open=True),
    *HEALTH,
    *rows(Reply(pods_health), "GET /healthcheck/pods", open=True),
    *rows(Reply(pod_health), "GET /healthcheck/pods/{name}", open=True),
    *rows(Reply(metrics), "GET /metrics", policy="admin_api:metrics:show"),
    *rows(Reply(list_pods), "GET /v1.0/pods", policy="admin_api:pods:list"),
    *rows(Reply(create_pod), "POST /v1.0/pods", policy="admin_api:pods:create"),
    *rows(Reply(show_pod), "GET /v1.0/pods/{id}", policy="admin_api:pods:show"),
    *rows(Reply(update_pod), "PUT /v1.0/pods/{id}", policy="admin_api:pods:update"),
    *rows(Reply(delete_pod), "DELETE /v1.0/pods/{id}", policy="admin_api:pods:delete"),
    *rows(Reply(list_bindings), "GET /v1.0/bindings", policy="admin_api:bindings:list"),
    *rows(Reply(create_binding), "POST /v1.0/bindings", policy="admin_api:bindings:create"),
    *rows(Reply(show_binding), "GET /v1.0/bindings/{id}", policy="admin_api:bindings:show"),
    *rows(Reply(delete_binding), "DELETE /v1.0/bindings/{id}", policy="admin_api:bindings:delete"),
    *rows(
        Reply(list_definitions), "GET /v1.0/definitions/{kind}", policy="admin_api:definitions:list"
    ),
    *rows(
        Reply(show_definition),
        "GET /v1.0/definitions/{kind}/{id}",
        policy="admin_api:definitions:show",
    ),
    *rows(
        Reply(choose_definition),
        "PUT /v1.0/definitions/{kind}/{id}",
        policy="admin_api:definitions:choose",
    ),
    *rows(Reply(list_reconcilers), "GET /v1.0/reconcilers", policy="admin_api:reconcilers:list"),
    *rows(
        Reply(show_reconciler), "GET /v1.0/reconcilers/{id}", policy="admin_api:reconcilers:show"
    ),
    *rows(
        Reply(run_reconciler), "POST /v1.0/reconcilers/{id}/run", policy="admin_api:reconcilers:run"
    ),
    *rows(Reply(list_routings), "GET /v1.0/routings", policy="admin_api:routings:list"),
    *rows(Reply(create_routing), "POST /v1.0/routings", policy="admin_api:routings:create"),
    *rows(Reply(show_routing), "GET /v1.0/routings/{id}", policy="admin_api:routings:show"),
    *rows(Reply(update_routing), "PUT /v1.0/routings/{id}", policy="admin_api:routings:update"),
    *rows(Reply(delete_routing), "DELETE /v1.0/routings/{id}", policy="admin_api:routings:delete"),
)
