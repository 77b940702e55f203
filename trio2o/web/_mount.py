"""From an operation table to a Klein application: each path and method calls one `respond`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Protocol

from klein import Klein
from twisted.web.iweb import IRequest
from werkzeug import exceptions
from werkzeug.routing import BaseConverter

from trio2o.web._pipeline import Row


class Mounted(Protocol):
    """What a face's class has, for the endpoints of its application to call."""

    def respond(
        self,
        request: IRequest,
        rows: Sequence[Row],
        segments: Sequence[str] = (),
        project: str = "",
    ) -> Awaitable[Any]: ...

    def no_such_method(self, request: IRequest, allowed: Sequence[str]) -> Awaitable[Any]: ...


class _Project(BaseConverter):
    """A project id as Nova and Cinder take it in a path."""

    regex = "[a-f0-9-]+"


def mount(version: str, operations: Iterable[Row], with_project: bool) -> Klein:
    """A class-level application for these rows.

    Paths below `/version` are also taken with a project id behind it, if `with_project`.
    """
    app = Klein()
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["project"] = _Project
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in operations:
        groups[(_rule(row.path), row.method)].append(row)
    for (rule, method), rows in groups.items():
        _add(app, rule, method, tuple(rows))
        below = f"/{version}/"
        if with_project and rule.startswith(below):
            _add(app, f"{below}<project:project>/{rule[len(below) :]}", method, tuple(rows))

    @app.handle_errors(exceptions.MethodNotAllowed)
    def wrong_method(self: Mounted, request: IRequest, failure: Any) -> Awaitable[Any]:
        return self.no_such_method(request, sorted(failure.value.valid_methods or ()))

    @app.handle_errors(exceptions.HTTPException)
    def not_found(self: Mounted, request: IRequest, failure: Any) -> Awaitable[Any]:
        return self.respond(request, ())

    return app


def _rule(path: str) -> str:
    """`/servers/{id}` as Werkzeug writes it; rows that differ in names alone are one rule."""
    count = iter(range(100))
    return re.sub(r"\{\w+\}", lambda _: f"<p{next(count)}>", path)


def _add(app: Klein, rule: str, method: str, rows: tuple[Row, ...]) -> None:
    def endpoint(self: Mounted, request: IRequest, **values: str) -> Awaitable[Any]:
        project = values.pop("project", "")
        return self.respond(request, rows, [values[name] for name in sorted(values)], project)

    endpoint.__name__ = f"{method} {rule}"
    app.route(rule, methods=[method])(endpoint)
