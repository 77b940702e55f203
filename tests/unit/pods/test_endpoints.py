"""From a URL in Keystone's catalog to what is sent where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio2o.pods._endpoints import Endpoint
from trio2o.upstream import Origin


@pytest.mark.parametrize(
    ("url", "service", "origin", "prefix", "version", "has_project"),
    [
        ("http://a:8774/v2.1", "compute", "http://a:8774", "", "/v2.1", False),
        ("http://a:8774/v2.1/", "compute", "http://a:8774", "", "/v2.1", False),
        ("https://a/compute/v2.1", "compute", "https://a", "/compute", "/v2.1", False),
        ("http://a/compute", "compute", "http://a", "/compute", "/v2.1", False),
        ("http://a/", "compute", "http://a", "", "/v2.1", False),
        ("http://a", "compute", "http://a", "", "/v2.1", False),
        ("http://a/v3/$(project_id)s", "volume", "http://a", "", "/v3", True),
        ("http://a/v3/%(tenant_id)s", "volume", "http://a", "", "/v3", True),
        ("http://a/volume/v3/%(project_id)s/", "volume", "http://a", "/volume", "/v3", True),
        ("http://a/volume/$(tenant_id)s", "volume", "http://a", "/volume", "/v3", True),
        ("http://a:9696", "network", "http://a:9696", "", "/v2.0", False),
        (
            "http://a:9696/networking/v2.0",
            "network",
            "http://a:9696",
            "/networking",
            "/v2.0",
            False,
        ),
        ("http://a/image", "image", "http://a", "/image", "/v2", False),
        ("http://a/placement", "placement", "http://a", "/placement", "", False),
        ("http://[fd00::1]:8774/v2.1", "compute", "http://[fd00::1]:8774", "", "/v2.1", False),
        ("http://a/v2.1x", "compute", "http://a", "/v2.1x", "/v2.1", False),
        ("http://v3/b", "volume", "http://v3", "/b", "/v3", False),
    ],
)
def test_an_endpoint_is_read_as_services_register_it(
    url: str, service: str, origin: str, prefix: str, version: str, has_project: bool
) -> None:
    wanted = Endpoint(Origin(origin.encode()), prefix, version, has_project)
    assert Endpoint.parse(url, service) == wanted


@pytest.mark.parametrize(
    ("url", "with_project", "path"),
    [
        ("http://a/v2.1", False, b"/v2.1/servers"),
        ("http://a/v2.1", True, b"/v2.1/p1/servers"),
        ("http://a/x/v2.1/%(project_id)s", False, b"/x/v2.1/p1/servers"),
        ("http://a/x/v2.1/%(project_id)s", True, b"/x/v2.1/p1/servers"),
        ("http://a/x", False, b"/x/v2.1/servers"),
    ],
)
def test_a_path_has_the_project_where_the_pod_or_the_client_wants_it(
    url: str, with_project: bool, path: bytes
) -> None:
    assert Endpoint.parse(url, "compute").path(b"/servers", "p1", with_project) == path


def test_without_a_project_a_path_is_the_short_one() -> None:
    made = Endpoint.parse("http://a/v3/$(project_id)s", "volume")
    assert made.path(b"/types", "", False) == b"/v3/types"


@given(
    st.lists(st.sampled_from(["a", "compute", "x.y"]), max_size=3),
    st.sampled_from(["/v2.1", "/v2", "/v3", "/v2.0"]),
    st.sampled_from(["", "/$(project_id)s", "/%(tenant_id)s"]),
    st.sampled_from(["", "/"]),
)
def test_a_url_put_together_is_read_as_its_parts(
    folders: list[str], version: str, project: str, slash: str
) -> None:
    prefix = "".join(f"/{folder}" for folder in folders)
    found = Endpoint.parse(f"https://h:1{prefix}{version}{project}{slash}", "compute")
    assert found == Endpoint(Origin(b"https://h:1"), prefix, version, bool(project))
