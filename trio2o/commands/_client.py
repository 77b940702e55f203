"""A small blocking client for Keystone and the admin API."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from typing import Any

import click
from attrs import define

from trio2o.settings import Settings


@define
class Client:
    """Calls with one token. Errors are printed as the server words them."""

    auth_url: str
    token: str

    @classmethod
    def of(cls, settings: Settings) -> Client:
        """As the user that OS_* names in the environment, else as the appliance's own."""
        own = settings.identity
        env = os.environ
        if "OS_AUTH_URL" in env and "OS_USERNAME" in env:
            auth_url = env["OS_AUTH_URL"].rstrip("/")
            if not auth_url.endswith("/v3"):
                auth_url += "/v3"
            name, password = env["OS_USERNAME"], env.get("OS_PASSWORD", "")
            user_domain = env.get("OS_USER_DOMAIN_NAME", "Default")
            project = env.get("OS_PROJECT_NAME", "admin")
            project_domain = env.get("OS_PROJECT_DOMAIN_NAME", "Default")
        else:
            auth_url = own.auth_url.rstrip("/")
            name, password, user_domain = own.username, own.password, own.user_domain_name
            project, project_domain = own.project_name, own.project_domain_name
        user = {"name": name, "password": password, "domain": {"name": user_domain}}
        identity = {"methods": ["password"], "password": {"user": user}}
        scope = {"project": {"name": project, "domain": {"name": project_domain}}}
        body = {"auth": {"identity": identity, "scope": scope}}
        headers, _ = _request("POST", f"{auth_url}/auth/tokens", body, "")
        return cls(auth_url, headers["X-Subject-Token"])

    def keystone(self, method: str, path: str, body: Any = None) -> Any:
        return _request(method, self.auth_url + path, body, self.token)[1]

    def call(self, method: str, url: str, body: Any = None) -> Any:
        return _request(method, url, body, self.token)[1]


def _request(method: str, url: str, body: Any, token: str) -> tuple[Any, Any]:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if token:
        headers["X-Auth-Token"] = token
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            content = response.read()
            return response.headers, json.loads(content) if content else None
    except urllib.error.HTTPError as error:
        raise click.ClickException(_words(error)) from None
    except OSError as error:
        raise click.ClickException(f"{url}: {error}") from None


def _words(error: urllib.error.HTTPError) -> str:
    """What the server says is wrong."""
    try:
        fault = next(iter(json.loads(error.read()).values()))
        return f"{fault['message']} ({error.code})"
    except (ValueError, KeyError, TypeError, StopIteration):
        return f"{error.url}: status {error.code}"
