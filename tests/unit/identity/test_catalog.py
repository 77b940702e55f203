"""Regions and endpoints, as Keystone lists them."""

from typing import Any

import pytest
from helpers import result_of
from stub_keystone import Call, Response, World

from trio2o.identity import Catalog, KeystoneUnavailable

SERVICES = [
    {"id": "s1", "type": "compute"},
    {"id": "s2", "type": "volumev3"},
    {"id": "s3", "type": "block-storage"},
    {"id": "s4", "type": "network"},
    {"id": "s5", "type": "image"},
]


def endpoint(service: str, url: str, region: str = "Pod1", **more: Any) -> dict[str, Any]:
    item = {"service_id": service, "region_id": region, "interface": "internal", "url": url}
    return item | more


class Site(World):
    def __init__(self, *endpoints: dict[str, Any]) -> None:
        super().__init__()
        self.documents: dict[str, Any] = {
            "regions": [{"id": "Pod1"}, {"id": "Pod2"}],
            "services": SERVICES,
            "endpoints": list(endpoints),
        }
        self.agent.say = self.document
        self.catalog = Catalog(self.keystone)

    def document(self, call: Call) -> Response | None:
        name = call.path.strip("/")
        return Response(200, {name: self.documents[name]}) if name in self.documents else None

    def url(self, service: str, region: str = "Pod1", interface: str = "internal") -> str | None:
        return self.catalog.url(region, service, interface)


def read(*endpoints: dict[str, Any]) -> Site:
    site = Site(*endpoints)
    result_of(site.catalog.refresh())
    return site


def test_before_it_was_read_a_catalog_is_empty() -> None:
    site = Site(endpoint("s1", "http://a"))
    assert (site.catalog.regions, site.url("compute")) == (frozenset(), None)


def test_endpoints_are_found_by_region_service_and_interface() -> None:
    site = read(
        endpoint("s1", "http://one"),
        endpoint("s1", "http://public", interface="public"),
        endpoint("s1", "http://two", region="Pod2"),
        endpoint("s4", "http://net/$(project_id)s"),
    )
    assert site.catalog.regions == {"Pod1", "Pod2"}
    assert site.url("compute") == "http://one"
    assert site.url("compute", interface="public") == "http://public"
    assert site.url("compute", "Pod2") == "http://two"
    assert site.url("network") == "http://net/$(project_id)s"
    assert site.url("network", "Pod2") is site.url("image") is None


def test_a_service_type_has_older_names_and_its_own_comes_first() -> None:
    assert read(endpoint("s2", "http://v3")).url("volume") == "http://v3"
    site = read(endpoint("s2", "http://v3"), endpoint("s3", "http://new"))
    assert site.url("volume") == "http://new"


def test_an_endpoint_that_is_disabled_or_of_no_service_is_not_there() -> None:
    site = read(endpoint("s1", "http://a", enabled=False), endpoint("s9", "http://b"))
    assert site.url("compute") is None


def test_what_is_gone_is_forgotten() -> None:
    site = read(endpoint("s1", "http://a"))
    site.documents |= {"endpoints": [], "regions": []}
    result_of(site.catalog.refresh())
    assert (site.url("compute"), site.catalog.regions) == (None, frozenset())


@pytest.mark.parametrize("lost", ["regions", "services", "endpoints"])
def test_what_was_known_stays_when_keystone_is_away(lost: str) -> None:
    site = read(endpoint("s1", "http://a"))
    site.documents |= {"endpoints": [], "regions": []}
    del site.documents[lost]
    with pytest.raises(KeystoneUnavailable):
        result_of(site.catalog.refresh())
    assert (site.url("compute"), site.catalog.regions) == ("http://a", {"Pod1", "Pod2"})
