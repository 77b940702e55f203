"""Regions, services and endpoints, as Keystone lists them."""

from attrs import define, field

from trio2o.identity._keystone import Keystone, understood

TYPES = {
    "compute": ("compute",),
    "volume": ("block-storage", "volumev3", "block-store"),
    "network": ("network",),
    "image": ("image",),
    "placement": ("placement",),
}
"""Service types, as the Service Types Authority and older catalogs name them."""


@define
class Catalog:
    """Endpoints by region, service and interface; `refresh` asks Keystone anew.

    `loaded` tells whether it was ever read.
    """

    keystone: Keystone
    regions: frozenset[str] = frozenset()
    loaded: bool = False
    _urls: dict[tuple[str, str, str], str] = field(factory=dict)

    async def refresh(self) -> None:
        """Raises `KeystoneUnavailable`; what was known then stays."""
        regions = await self.keystone.get("/regions", "regions")
        services = await self.keystone.get("/services", "services")
        endpoints = await self.keystone.get("/endpoints", "endpoints")
        with understood("the catalog"):
            types = {service["id"]: service["type"] for service in services}
            names = frozenset(region["id"] for region in regions)
            urls = {
                (item["region_id"], types.get(item["service_id"], ""), item["interface"]): str(
                    item["url"]
                )
                for item in endpoints
                if item.get("enabled", True)
            }
        self.regions, self._urls = names, urls
        self.loaded = True

    def url(self, region: str, service: str, interface: str) -> str | None:
        """The endpoint's URL as registered, with `$(project_id)s` in it where it has that."""
        for kind in TYPES[service]:
            if found := self._urls.get((region, kind, interface)):
                return found
        return None
