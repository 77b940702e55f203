"""The operation tables hold every row of the APIs, and what is mounted reaches each of them."""

import csv
import re
from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from trio2o.domain.versions import ANY, Range
from trio2o.faces.admin import AdminFace
from trio2o.faces.compute import ComputeFace
from trio2o.faces.image import ImageFace
from trio2o.faces.network import NetworkFace
from trio2o.faces.volume import VolumeFace
from trio2o.verbs import Operation
from trio2o.web import Found, mount

API = Path(__file__).parents[2] / "api"
FACES = {face.name: face for face in (ComputeFace, VolumeFace, NetworkFace, ImageFace, AdminFace)}
FILES = {"nova": "compute", "cinder": "volume", "neutron": "network", "glance": "image"}
OLDEST = {"nova": "2.1", "cinder": "3.0"}

Row = tuple[str, str, str, str, str]


def plain(path: str) -> str:
    """A path without the names of what stands in braces, and without the caller's project."""
    return re.sub(r"\{[^}]*\}", "{}", re.sub(r"^(/v[\d.]+)/\{project_id\}", r"\1", path))


def documented(service: str) -> list[Row]:
    with (API / f"{service}-routes.csv").open(newline="") as file:
        return [
            (
                row["method"],
                plain(row["path"]),
                row["action"],
                row["min_microversion"],
                row["max_microversion"],
            )
            for row in csv.DictReader(file)
        ]


def as_documented(operation: Operation, service: str) -> Row:
    least, most = operation.versions.least, operation.versions.most
    return (
        operation.method,
        plain(operation.path),
        operation.action,
        "" if least == ANY.least else str(least),
        "" if most == ANY.most else str(most),
    )


def base(row: Row, service: str) -> Row:
    """A row that begins with the API itself says no more than one that names no beginning."""
    *rest, least, most = row
    return (*rest, "" if least == OLDEST.get(service) and not most else least, most)


@pytest.mark.parametrize("service", FILES)
def test_the_table_holds_each_documented_row_and_no_other(service: str) -> None:
    table = [base(as_documented(row, service), service) for row in FACES[FILES[service]].operations]
    rows = [base(row, service) for row in documented(service)]
    assert len(rows) > 80
    assert Counter(table) == Counter(rows)


@pytest.mark.parametrize("name", FACES)
def test_of_two_rows_one_version_is_served_by_one(name: str) -> None:
    seen: dict[tuple[str, str, str], list[Range]] = {}
    for row in FACES[name].operations:
        others = seen.setdefault((row.method, plain(row.path), row.action), [])
        assert not [one for one in others if one.shared(row.versions)], row
        others.append(row.versions)


def reach(face: str, method: str, path: str) -> Found:
    return FACES[face].app.find(method, path.encode())


ROWS = [(name, row) for name, face in FACES.items() for row in face.operations]


def test_each_row_is_reached_at_its_path() -> None:
    for name, row in ROWS:
        path = re.sub(r"\{\w+\}", "6f1ea8f0-6a52-4a6a-8f4f-0b7a3f4b1a55", row.path)
        found = reach(name, row.method, path)
        assert row in found.rows, (name, row)
        assert len(found.segments) == row.path.count("{")


@pytest.mark.parametrize("name", ["compute", "volume"])
def test_each_row_is_reached_with_a_project_in_its_path_too(name: str) -> None:
    project = "0123456789abcdef0123456789abcdef"
    version = FACES[name].version
    for row in FACES[name].operations:
        head, _, rest = row.path.partition(f"/{version}/")
        if head or not rest:
            continue
        path = re.sub(r"\{\w+\}", "an-id-that-is-no-project", rest)
        found = reach(name, row.method, f"/{version}/{project}/{path}")
        assert row in found.rows, row
        assert found.project == project


def test_segments_keep_the_order_of_the_path() -> None:
    found = reach("compute", "GET", "/v2.1/servers/one/os-volume_attachments/two")
    assert found.segments == ("one", "two")


def test_a_named_path_goes_before_an_id() -> None:
    assert {row.path for row in reach("compute", "GET", "/v2.1/servers/detail").rows} == {
        "/v2.1/servers/detail"
    }


def test_what_is_not_served_says_501_and_is_counted() -> None:
    missing = [row for name, row in ROWS if getattr(row.verb, "status", 0) == 501]
    assert all(name != "image" for name, row in ROWS if row in missing)
    served = [row for name, row in ROWS if name == "compute" and row not in missing]
    assert [row for row in served if row.path == "/v2.1/servers" and row.method == "POST"]


LONG = {
    name: mount(
        face.version,
        [evolve(row, hot=False) for row in face.operations],
        with_project=name in ("compute", "volume"),
        slashes=name in ("admin", "network"),
    )
    for name, face in FACES.items()
}
"""The tables without anything hot: all is found by Klein."""

WORDS = ["v2.1", "v3", "v2.0", "servers", "volumes", "detail", "0af1", "a.b", "x%20y", "", "V3"]


@given(
    st.sampled_from(sorted(FACES)),
    st.sampled_from(["GET", "HEAD", "POST", "DELETE", "PUT"]),
    st.lists(st.sampled_from(WORDS), max_size=5),
)
def test_a_hot_way_leads_where_the_long_one_does(
    face: str, method: str, segments: list[str]
) -> None:
    path = "/" + "/".join(segments)
    found, meant = reach(face, method, path), LONG[face].find(method, path.encode())
    assert (found.segments, found.project, found.allowed) == (
        meant.segments,
        meant.project,
        meant.allowed,
    )
    assert [evolve(row, hot=False) for row in found.rows] == list(meant.rows)


def test_what_is_asked_for_most_is_hot() -> None:
    hot = {(row.method, row.path) for name, row in ROWS if row.hot and name != "network"}
    assert hot == {
        ("GET", path)
        for root, kind in (("/v2.1/", "servers"), ("/v3/", "volumes"))
        for path in ("/", root, root + kind, f"{root}{kind}/detail", f"{root}{kind}/{{id}}")
    }
