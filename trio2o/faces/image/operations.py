"""Glance v2: every row of its API. There is one Glance for all pods, and calls pass to it."""

from trio2o.faces._health import HEALTH
from trio2o.verbs import Operation, Shared, rows

OPERATIONS: tuple[Operation, ...] = (
    *HEALTH,
    *rows(Shared(), "GET /", "GET /versions", open=True),
    *rows(
        Shared(),
        "GET,PUT /v2/images/{image_id}/file",
        "PUT /v2/images/{image_id}/stage",
        stream=True,
    ),
    *rows(
        Shared(),
        """
        DELETE,GET /v2/cache
        POST /v2/cache/[clean|prune]
        GET /v2/cache/nodes/{image_id}
        DELETE,PUT /v2/cache/{image_id}
        GET,POST /v2/[images|tasks]
        DELETE,GET,PATCH /v2/images/{image_id}
        POST /v2/images/{image_id}/actions/[deactivate|reactivate]
        POST /v2/images/{image_id}/import
        GET,POST /v2/images/{image_id}/[locations|members]
        DELETE,GET,PUT /v2/images/{image_id}/members/{member_id}
        DELETE,PUT /v2/images/{image_id}/tags/{tag_value}
        GET /v2/images/{image_id}/tasks
        GET /v2/info/[import|usage]
        GET /v2/info/stores[/detail]
        GET,POST /v2/metadefs/namespaces
        DELETE,GET,PUT /v2/metadefs/namespaces/{namespace}
        DELETE,GET,POST /v2/metadefs/namespaces/{namespace}/[objects|properties|tags]
        DELETE,GET,PUT /v2/metadefs/namespaces/{namespace}/objects/{object_name}
        DELETE,GET,PUT /v2/metadefs/namespaces/{namespace}/properties/{property_name}
        GET,POST /v2/metadefs/namespaces/{namespace}/resource_types
        DELETE /v2/metadefs/namespaces/{namespace}/resource_types/{resource_type}
        DELETE,GET,POST,PUT /v2/metadefs/namespaces/{namespace}/tags/{tag_name}
        GET /v2/metadefs/resource_types
        GET /v2/schemas/[image|member|task][s]
        GET /v2/schemas/metadefs/[namespace|object|resource_type|tag][s]
        GET /v2/schemas/metadefs/[properties|property]
        DELETE /v2/stores/{store_id}/{image_id}
        DELETE,GET /v2/tasks/{task_id}
        """,
    ),
)
