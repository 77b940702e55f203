"""From an operation table to the rows for a method and a path: by Klein, or sooner if hot."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from klein import Klein
from werkzeug import exceptions
from werkzeug.routing import BaseConverter

from trio2o.web._pipeline import Found, Row

_PROJECT = "[a-f0-9-]+"
"""A project id as Nova and Cinder take it in a path."""

_PLAIN = re.compile(r"[0-9A-Za-z._~-]+")


class _Project(BaseConverter):
    regex = _PROJECT


def mount(
    version: str, operations: Iterable[Row], with_project: bool, *, slashes: bool = False
) -> Table:
    """The table of these rows.

    Paths below `/version` are also taken with a project id behind it, if `with_project`, and with
    a slash at their end, if `slashes`: to most services a path that ends so lacks its id.
    """
    return Table(version, operations, with_project, slashes)


class Table:
    """Each path and method is an endpoint of a Klein application; `find` asks it.

    Paths of `hot` rows are found without it: whole, or but for the id at their end.
    """

    def __init__(
        self, version: str, operations: Iterable[Row], with_project: bool, slashes: bool = False
    ) -> None:
        self._rows = tuple(operations)
        self._hot: dict[tuple[str, str], tuple[Row, ...]] = {}
        self._hot_ids: dict[tuple[str, str], tuple[Row, ...]] = {}
        self._below = f"/{version}/"
        self._project = re.compile(_PROJECT) if with_project else None
        groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in self._rows:
            groups[(_rule(row.path), row.method)].append(row)
        self._whole = {rule for rule, _ in groups if "<" not in rule}
        # Klein's types know endpoints that write to a request; ours tell what was found
        self._klein: Any = Klein()
        self._mounting = self._mounted(groups, with_project, slashes)
        for (rule, method), rows in groups.items():
            parent = rule.removesuffix("/<p0>")
            if any(row.hot for row in rows) and "<" not in parent:
                (self._hot if parent == rule else self._hot_ids)[(method, parent)] = tuple(rows)

    def only(self, path: str) -> Table:
        """The table of this path's rows."""
        return Table("", (row for row in self._rows if row.path == path), with_project=False)

    def _mounted(
        self, groups: Mapping[tuple[str, str], list[Row]], with_project: bool, slashes: bool
    ) -> Iterator[None]:
        app = self._klein
        app.url_map.strict_slashes = not slashes
        app.url_map.merge_slashes = False
        app.url_map.converters["project"] = _Project
        for (rule, method), rows in groups.items():
            _add(app, rule, method, tuple(rows))
            if with_project and rule.startswith(self._below):
                behind = rule[len(self._below) :]
                _add(app, f"{self._below}<project:project>/{behind}", method, tuple(rows))
            yield

    def mounting(self) -> Iterator[None]:
        """The steps by which Klein's application is made, which is a third of a start's work: it
        may be done behind it. The first path that only Klein finds waits for what is left."""
        return self._mounting

    def find(self, method: str, path: bytes) -> Found:
        """The rows for a path that `check_path` let pass."""
        text = path.decode("ascii")
        return self._sooner(method, text, "") or self._asked(method, unquote(text))

    def _sooner(self, method: str, path: str, project: str) -> Found | None:
        if rows := self._hot.get((method, path)):
            return Found(rows, (), project)
        parent, _, id = path.rpartition("/")
        rows = self._hot_ids.get((method, parent))
        if rows and path not in self._whole and _PLAIN.fullmatch(id):
            return Found(rows, (id,), project)
        if self._project is not None and not project and path.startswith(self._below):
            project, _, behind = path[len(self._below) :].partition("/")
            if behind and self._project.fullmatch(project):
                return self._sooner(method, self._below + behind, project)
        return None

    def _asked(self, method: str, path: str) -> Found:
        for _ in self._mounting:
            pass
        if path.count("/") == 2:  # a version's document may end in one
            path = path.rstrip("/")
        try:
            endpoint, values = self._klein.url_map.bind("localhost").match(path, method)
        except exceptions.MethodNotAllowed as wrong:
            lacks_id = path.endswith("/")
            return Found(allowed=() if lacks_id else tuple(sorted(wrong.valid_methods or ())))
        except exceptions.HTTPException:
            return Found()
        found: Found = self._klein.execute_endpoint(endpoint, None, **values)
        return found


def _rule(path: str) -> str:
    """`/servers/{id}` as Werkzeug writes it; rows that differ in names alone are one rule."""
    count = iter(range(100))
    return re.sub(r"\{\w+\}", lambda _: f"<p{next(count)}>", path.rstrip("/") or "/")


def _add(app: Any, rule: str, method: str, rows: tuple[Row, ...]) -> None:
    def endpoint(request: object, **values: str) -> Found:
        project = values.pop("project", "")
        return Found(rows, tuple(values[name] for name in sorted(values)), project)

    endpoint.__name__ = f"{method} {rule}"
    app.route(rule, methods=[method])(endpoint)
