"""Commands that call Keystone or the admin API."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import click

from trio2o.commands._client import Client
from trio2o.commands._local import config_option, settings_of
from trio2o.commands._table import show

SERVICES = (
    # type, name, face, what stands behind the face's URL
    ("compute", "nova", "compute", "/v2.1"),
    ("block-storage", "cinder", "volume", "/v3/$(project_id)s"),
    ("volumev3", "cinderv3", "volume", "/v3/$(project_id)s"),
    ("network", "neutron", "network", ""),
    ("image", "glance", "image", ""),
    ("cascading", "trio2o", "admin", "/v1.0"),
)
INTERFACES = ("public", "internal")


@click.command()
@config_option
def register(config: str) -> None:
    """Make the tenants' region in Keystone point at the faces; what is right is left alone."""
    settings = settings_of(config)
    client = Client.of(settings)
    region = settings.service.region
    known = {item["id"] for item in client.keystone("GET", "/regions")["regions"]}
    if region not in known:
        client.keystone("POST", "/regions", {"region": {"id": region}})
        click.echo(f"region {region} created")
    for kind, name, face, path in SERVICES:
        if not (getattr(settings.faces, face).listen or settings.faces.all.listen):
            continue
        url = getattr(settings.faces, face).url.rstrip("/") + path
        service_id = _service(client, kind, name)
        for interface in INTERFACES:
            what = _endpoint(client, service_id, region, interface, url)
            click.echo(f"{kind:14} {interface:9} {url:45} {what}")


def _service(client: Client, kind: str, name: str) -> str:
    found = client.keystone("GET", f"/services?type={kind}")["services"]
    if not found:
        body = {"service": {"type": kind, "name": name}}
        found = [client.keystone("POST", "/services", body)["service"]]
    id: str = found[0]["id"]
    return id


def _endpoint(client: Client, service_id: str, region: str, interface: str, url: str) -> str:
    """One endpoint with this URL: made, changed or left, and others like it removed."""
    query = f"service_id={service_id}&region_id={region}&interface={interface}"
    found = client.keystone("GET", f"/endpoints?{query}")["endpoints"]
    for extra in found[1:]:
        client.keystone("DELETE", f"/endpoints/{extra['id']}")
    if not found:
        body = {"service_id": service_id, "region_id": region, "interface": interface, "url": url}
        client.keystone("POST", "/endpoints", {"endpoint": body})
        return "created"
    if found[0]["url"] != url:
        client.keystone("PATCH", f"/endpoints/{found[0]['id']}", {"endpoint": {"url": url}})
        return "changed"
    return "as it was"


def _ask(config: str, method: str, path: str, body: Any = None) -> Any:
    """A call to the admin API."""
    settings = settings_of(config)
    url = settings.faces.admin.url.rstrip("/") + "/v1.0" + path
    return Client.of(settings).call(method, url, body)


@click.group()
def pod() -> None:
    """Clouds behind the appliance."""


@pod.command("add")
@click.argument("name")
@click.option("--az", default="", help="The tenants' name of its AZ (none: the top region).")
@click.option("--pod-az", default="", help="The AZ's name inside the pod (none: send none).")
@click.option("--dc", default="", help="A data centre's name, for people.")
@config_option
def pod_add(name: str, az: str, pod_az: str, dc: str, config: str) -> None:
    """Add a cloud by the name of its Keystone region."""
    fields = {"pod_name": name, "pod_az_name": pod_az, "dc_name": dc}
    if az:
        fields["az_name"] = az
    _show([_ask(config, "POST", "/pods", {"pod": fields})["pod"]])


@pod.command("list")
@config_option
def pod_list(config: str) -> None:
    """List the clouds, their state and health."""
    _show(_ask(config, "GET", "/pods")["pods"])


@pod.command("set")
@click.argument("name")
@click.option("--state", type=click.Choice(["active", "draining", "maintenance"]))
@click.option("--weight", type=float, help="Pods of more weight go first, all else being equal.")
@click.option("--tag", "tags", multiple=True, help="A tag; repeat it. An empty one clears them.")
@click.option(
    "--az-map",
    "zones",
    multiple=True,
    metavar="AZ=COMPUTE[:VOLUME]",
    help="An AZ, and the pod's own names of it; repeat it for all that the pod has.",
)
@click.option("--dc", help="A data centre's name, for people.")
@config_option
def pod_set(
    name: str,
    state: str | None,
    weight: float | None,
    tags: tuple[str, ...],
    zones: tuple[str, ...],
    dc: str | None,
    config: str,
) -> None:
    """Change what a cloud is for. A state says whether it takes new things (active), only those
    that belong to what it has (draining), or none at all (maintenance). What it has is served in
    every state."""
    fields: dict[str, Any] = {"state": state, "weight": weight, "dc_name": dc}
    fields = {key: value for key, value in fields.items() if value is not None}
    if tags:
        fields["tags"] = [tag for tag in tags if tag]
    if zones:
        fields["availability_zones"] = dict(_zone(text) for text in zones)
    if not fields:
        raise click.ClickException("nothing to change was named")
    _show([_ask(config, "PUT", f"/pods/{name}", {"pod": fields})["pod"]])


def _zone(text: str) -> tuple[str, dict[str, str]]:
    """`az1=nova` (both services call it so) or `az1=nova:nova-vol` as the admin API has it."""
    name, equals, own = text.partition("=")
    if not equals or not name:
        raise click.ClickException(f"--az-map {text}: AZ=COMPUTE[:VOLUME] is wanted")
    compute, colon, volume = own.partition(":")
    return name, {"compute": compute, "volume": volume if colon else compute}


@pod.command("remove")
@click.argument("name")
@click.option("--force", is_flag=True, help="Even if things are known to live in it.")
@config_option
def pod_remove(name: str, force: bool, config: str) -> None:
    """Remove a cloud; what runs in it goes on running."""
    _ask(config, "DELETE", f"/pods/{name}{'?force=true' if force else ''}")
    click.echo(f"{name} was removed")


def _show(pods: list[dict[str, Any]]) -> None:
    def health(item: dict[str, Any]) -> str:
        ill = [f"{name} {word}" for name, word in item["health"].items() if word != "up"]
        return ", ".join(ill) or ("up" if item["health"] else "")

    def own(zone: dict[str, str]) -> str:
        apart = zone["volume"] != zone["compute"]
        return f"{zone['compute']}:{zone['volume']}" if apart else zone["compute"]

    def row(item: dict[str, Any]) -> dict[str, str]:
        zones = item["availability_zones"]
        return item | {
            "az_name": ", ".join(zones),
            "pod_az_name": ", ".join(map(own, zones.values())),
            "weight": f"{item['weight']:g}",
            "tags": ", ".join(item["tags"]),
            "health": health(item),
        }

    heads = ("pod_name", "az_name", "pod_az_name", "state", "weight", "tags", "health", "pod_id")
    show(heads, map(row, pods))


@click.group()
def binding() -> None:
    """Which cloud a project uses for an AZ."""


@binding.command("list")
@click.option("--ended", is_flag=True, help="Also those that ended.")
@click.option("--project", default="", help="Only those of this project (its id).")
@config_option
def binding_list(ended: bool, project: str, config: str) -> None:
    """List the bindings that hold."""
    query = {"ended": str(ended).lower()} | ({"tenant_id": project} if project else {})
    found = _ask(config, "GET", f"/bindings?{urlencode(query)}")["pod_bindings"]
    pods = _ask(config, "GET", "/pods")["pods"]
    names = {item["pod_id"]: item["pod_name"] for item in pods}
    for item in found:
        item["pod_name"] = names.get(item["pod_id"], item["pod_id"])
        item["ended_at"] = item["ended_at"] or ""
    show(("tenant_id", "az_name", "pod_name", "created_at", "ended_at", "id"), found)


@click.group()
def definition() -> None:
    """What must be the same in every cloud: flavors and the like."""


@definition.command("problems")
@config_option
def definition_problems(config: str) -> None:
    """List what is otherwise in a cloud, and left alone until it is decided."""
    found = _ask(config, "GET", "/reconcilers")["problems"]
    show(("kind", "key", "pod_name", "problem"), found)


@definition.command("choose")
@click.argument("kind")
@click.argument("key")
@click.argument("right")
@config_option
def definition_choose(kind: str, key: str, right: str, config: str) -> None:
    """Say whose version of a definition is RIGHT: a cloud's, by its name, or the one that Trio2o
    keeps (top). It is then made the same everywhere."""
    path = f"/definitions/{quote(kind, safe='')}/{quote(key, safe='')}"
    _ask(config, "PUT", path, {"definition": {"right": right}})
    click.echo(f"{kind} {key}: as {right} has it")
