"""Glance v2: every row of its API. There is one Glance for all pods, and calls pass to it."""

from __future__ import annotations

from trio2o.faces._health import HEALTH
from trio2o.verbs import Operation, Shared, rows

OPERATIONS: tuple[Operation, ...] = (
    *HEALTH,
    *rows(
        Shared(),
        """
        GET    /
        GET    /versions
        """,
        open=True,
    ),
    *rows(
        Shared(),
        """
        GET    /v2/images/{image_id}/file
        PUT    /v2/images/{image_id}/file
        PUT    /v2/images/{image_id}/stage
        """,
        stream=True,
    ),
    *rows(
        Shared(),
        """
        DELETE /v2/cache
        GET    /v2/cache
        POST   /v2/cache/clean
        GET    /v2/cache/nodes/{image_id}
        POST   /v2/cache/prune
        DELETE /v2/cache/{image_id}
        PUT    /v2/cache/{image_id}
        GET    /v2/images
        POST   /v2/images
        DELETE /v2/images/{image_id}
        GET    /v2/images/{image_id}
        PATCH  /v2/images/{image_id}
        POST   /v2/images/{image_id}/actions/deactivate
        POST   /v2/images/{image_id}/actions/reactivate
        POST   /v2/images/{image_id}/import
        GET    /v2/images/{image_id}/locations
        POST   /v2/images/{image_id}/locations
        GET    /v2/images/{image_id}/members
        POST   /v2/images/{image_id}/members
        DELETE /v2/images/{image_id}/members/{member_id}
        GET    /v2/images/{image_id}/members/{member_id}
        PUT    /v2/images/{image_id}/members/{member_id}
        DELETE /v2/images/{image_id}/tags/{tag_value}
        PUT    /v2/images/{image_id}/tags/{tag_value}
        GET    /v2/images/{image_id}/tasks
        GET    /v2/info/import
        GET    /v2/info/stores
        GET    /v2/info/stores/detail
        GET    /v2/info/usage
        GET    /v2/metadefs/namespaces
        POST   /v2/metadefs/namespaces
        DELETE /v2/metadefs/namespaces/{namespace}
        GET    /v2/metadefs/namespaces/{namespace}
        PUT    /v2/metadefs/namespaces/{namespace}
        DELETE /v2/metadefs/namespaces/{namespace}/objects
        GET    /v2/metadefs/namespaces/{namespace}/objects
        POST   /v2/metadefs/namespaces/{namespace}/objects
        DELETE /v2/metadefs/namespaces/{namespace}/objects/{object_name}
        GET    /v2/metadefs/namespaces/{namespace}/objects/{object_name}
        PUT    /v2/metadefs/namespaces/{namespace}/objects/{object_name}
        DELETE /v2/metadefs/namespaces/{namespace}/properties
        GET    /v2/metadefs/namespaces/{namespace}/properties
        POST   /v2/metadefs/namespaces/{namespace}/properties
        DELETE /v2/metadefs/namespaces/{namespace}/properties/{property_name}
        GET    /v2/metadefs/namespaces/{namespace}/properties/{property_name}
        PUT    /v2/metadefs/namespaces/{namespace}/properties/{property_name}
        GET    /v2/metadefs/namespaces/{namespace}/resource_types
        POST   /v2/metadefs/namespaces/{namespace}/resource_types
        DELETE /v2/metadefs/namespaces/{namespace}/resource_types/{resource_type}
        DELETE /v2/metadefs/namespaces/{namespace}/tags
        GET    /v2/metadefs/namespaces/{namespace}/tags
        POST   /v2/metadefs/namespaces/{namespace}/tags
        DELETE /v2/metadefs/namespaces/{namespace}/tags/{tag_name}
        GET    /v2/metadefs/namespaces/{namespace}/tags/{tag_name}
        POST   /v2/metadefs/namespaces/{namespace}/tags/{tag_name}
        PUT    /v2/metadefs/namespaces/{namespace}/tags/{tag_name}
        GET    /v2/metadefs/resource_types
        GET    /v2/schemas/image
        GET    /v2/schemas/images
        GET    /v2/schemas/member
        GET    /v2/schemas/members
        GET    /v2/schemas/metadefs/namespace
        GET    /v2/schemas/metadefs/namespaces
        GET    /v2/schemas/metadefs/object
        GET    /v2/schemas/metadefs/objects
        GET    /v2/schemas/metadefs/properties
        GET    /v2/schemas/metadefs/property
        GET    /v2/schemas/metadefs/resource_type
        GET    /v2/schemas/metadefs/resource_types
        GET    /v2/schemas/metadefs/tag
        GET    /v2/schemas/metadefs/tags
        GET    /v2/schemas/task
        GET    /v2/schemas/tasks
        DELETE /v2/stores/{store_id}/{image_id}
        GET    /v2/tasks
        POST   /v2/tasks
        DELETE /v2/tasks/{task_id}
        GET    /v2/tasks/{task_id}
        """,
    ),
)
