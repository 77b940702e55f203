"""Operation tables: a line is a row for each method, path and action."""

from __future__ import annotations

import pytest

from trio2o.domain.errors import Gone
from trio2o.verbs import Refuse, rows


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("GET /a[/detail]", ["/a", "/a/detail"]),
        ("GET /[a|b]/{id}", ["/a/{id}", "/b/{id}"]),
        ("GET /[a|b][/x]", ["/a", "/a/x", "/b", "/b/x"]),
        ("GET /a/[x|y] 2.1-2.5", ["/a/x", "/a/y"]),
    ],
)
def test_brackets_stand_for_paths_with_and_without_or_with_each(
    line: str, paths: list[str]
) -> None:
    assert [row.path for row in rows(Refuse(Gone, ""), line)] == paths


def test_every_method_has_every_path_and_action() -> None:
    found = {(row.method, row.path, row.action) for row in rows(Refuse(Gone, ""), "A,B /[c|d] x y")}
    assert found == {(m, p, a) for m in "AB" for p in ("/c", "/d") for a in "xy"}
