"""From a URL in Keystone's catalog to what is sent where."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from attrs import Factory, field, frozen

from trio2o.upstream import Origin

ROOTS = {"compute": "/v2.1", "volume": "/v3", "network": "/v2.0", "image": "/v2", "placement": ""}
"""The version that we speak, for endpoints that do not say one."""

_PROJECT = re.compile(r"[$%]\((?:project_id|tenant_id)\)s")
_VERSION = re.compile(r"/v\d+(?:\.\d+)?(?=/|$)")


@frozen
class Endpoint:
    """One service of a pod. `prefix` stands before the version, `version` with its slash."""

    origin: Origin
    prefix: str
    version: str
    has_project: bool
    root: bytes = field(
        init=False,
        default=Factory(lambda self: (self.prefix + self.version).encode(), takes_self=True),
    )

    @classmethod
    def parse(cls, url: str, service: str) -> Endpoint:
        parts = urlsplit(url)
        path = parts.path.rstrip("/")
        has_project = _PROJECT.search(path) is not None
        path = _PROJECT.sub("", path).rstrip("/")
        found = _VERSION.search(path)
        prefix = path[: found.start()] if found else path
        version = found.group() if found else ROOTS[service]
        origin = Origin(f"{parts.scheme}://{parts.netloc}".encode())
        return cls(origin, prefix, version, has_project)

    def path(self, below: bytes, project_id: str, with_project: bool) -> bytes:
        """The path of what stands below the version. `with_project`: as the client wrote it.

        Without a project the short form is used, which every service takes.
        """
        if project_id and (self.has_project or with_project):
            return b"%s/%s%s" % (self.root, project_id.encode(), below)
        return self.root + below
