"""Cinder's API as it is spoken, for what clients do not have."""

from __future__ import annotations

from typing import Any

import requests
from attrs import frozen
from tenants import Project, RealAppliance, admin_cloud, eventually

PORTS = {"Pod1": 11776, "Pod2": 12776}


@frozen
class Cinder:
    """Someone's calls to a Cinder: the appliance's, or a pod's own."""

    url: str
    token: str

    @classmethod
    def of(cls, project: Project, pod: str = "") -> Cinder:
        return cls(_url(project.appliance, pod), project.token)

    @classmethod
    def of_admin(cls, appliance: RealAppliance, pod: str = "") -> Cinder:
        return cls(_url(appliance, pod), str(admin_cloud("RegionOne").auth_token))

    def call(
        self, method: str, path: str, body: Any = None, version: str = "3.71"
    ) -> requests.Response:
        headers = {"X-Auth-Token": self.token, "OpenStack-API-Version": f"volume {version}"}
        return requests.request(
            method, f"{self.url}/v3{path}", json=body, headers=headers, timeout=60
        )

    def get(self, path: str, version: str = "3.71") -> Any:
        answer = self.call("GET", path, version=version)
        assert answer.status_code == 200, (path, answer.text)
        return answer.json()

    def post(self, path: str, body: Any, version: str = "3.71") -> Any:
        answer = self.call("POST", path, body, version)
        assert answer.status_code in (200, 201, 202), (path, answer.text)
        return answer.json() if answer.content else None

    def until(self, path: str, status: str = "available") -> Any:
        """A thing that has come to a status. Fails if it came to an error."""

        def look() -> Any:
            ((_, shown),) = self.get(path).items()
            assert status == "error" or not shown["status"].startswith("error"), shown
            return shown if shown["status"] == status else None

        return eventually(look)


def _url(appliance: RealAppliance, pod: str) -> str:
    return f"http://127.0.0.1:{PORTS[pod]}" if pod else appliance.url("volume")
