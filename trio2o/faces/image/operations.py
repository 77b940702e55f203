"""Glance v2: every row of its API. There is one Glance for all pods, and calls pass to it."""

from __future__ import annotations

from trio2o.faces._health import HEALTH
from trio2o.verbs import Operation, Shared, rows

OPERATIONS: tuple[Operation, ...] = (
    *HEALTH,
    *rows(
        Shared(),
        """
        GET /
        GET /versions
        """,
        open=True,
    ),
    *rows(
        Shared(),
        """
        GET,PUT /v2/images/{image_id}/file
        PUT /v2/images/{image_id}/stage
        """,
        stream=True,
    ),
    *rows(
        Shared(),
        """
        DELETE,GET /v2/cache
        POST /v2/cache/clean
        GET /v2/cache/nodes/{image_id}
        POST /v2/cache/prune
        DELETE,PUT /v2/cache/{image_id}
        GET,POST /v2/images
        DELETE,GET,PATCH /v2/images/{image_id}
        POST /v2/images/{image_id}/actions/deactivate
        POST /v2/images/{image_id}/actions/reactivate
        POST /v2/images/{image_id}/import
        GET,POST /v2/images/{image_id}/locations
        GET,POST /v2/images/{image_id}/members
        DELETE,GET,PUT /v2/images/{image_id}/members/{member_id}
        DELETE,PUT /v2/images/{image_id}/tags/{tag_value}
        GET /v2/images/{image_id}/tasks
        GET /v2/info/import
        GET /v2/info/stores
        GET /v2/info/stores/detail
        GET /v2/info/usage
        GET,POST /v2/metadefs/namespaces
        DELETE,GET,PUT /v2/metadefs/namespaces/{namespace}
        DELETE,GET,POST /v2/metadefs/namespaces/{namespace}/objects
        DELETE,GET,PUT /v2/metadefs/namespaces/{namespace}/objects/{object_name}
        DELETE,GET,POST /v2/metadefs/namespaces/{namespace}/properties
        DELETE,GET,PUT /v2/metadefs/namespaces/{namespace}/properties/{property_name}
        GET,POST /v2/metadefs/namespaces/{namespace}/resource_types
        DELETE /v2/metadefs/namespaces/{namespace}/resource_types/{resource_type}
        DELETE,GET,POST /v2/metadefs/namespaces/{namespace}/tags
        DELETE,GET,POST,PUT /v2/metadefs/namespaces/{namespace}/tags/{tag_name}
        GET /v2/metadefs/resource_types
        GET /v2/schemas/image
        GET /v2/schemas/images
        GET /v2/schemas/member
        GET /v2/schemas/members
        GET /v2/schemas/metadefs/namespace
        GET /v2/schemas/metadefs/namespaces
        GET /v2/schemas/metadefs/object
        GET /v2/schemas/metadefs/objects
        GET /v2/schemas/metadefs/properties
        GET /v2/schemas/metadefs/property
        GET /v2/schemas/metadefs/resource_type
        GET /v2/schemas/metadefs/resource_types
        GET /v2/schemas/metadefs/tag
        GET /v2/schemas/metadefs/tags
        GET /v2/schemas/task
        GET /v2/schemas/tasks
        DELETE /v2/stores/{store_id}/{image_id}
        GET,POST /v2/tasks
        DELETE,GET /v2/tasks/{task_id}
        """,
    ),
)
