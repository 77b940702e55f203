"""Extra specs that are not the same in every pod: a backend's name, AZs.

`trio2o:Pod2:volume_backend_name` says what `volume_backend_name` is in Pod2; the AZs of a type are
what the pod calls them. Where a pod has another value, it keeps the tenants' beside it
(`trio2o:top:...`), so that what a pod has tells what the type is. Schedulers ignore such keys.
"""

from collections.abc import Mapping

from trio2o.domain.values import Pod

Specs = Mapping[str, str]

ZONES = "RESKEY:availability_zones"
_TOP, _NONE = "trio2o:top:", "trio2o:none"


def zones_of(specs: Specs) -> list[str]:
    """The AZs that a type is for; none for any."""
    return [zone.strip() for zone in specs.get(ZONES, "").split(",") if zone.strip()]


def kept_as(name: str) -> str:
    """Where a pod that has another value keeps the tenants'."""
    return _TOP + name


def local(specs: Specs, pod: Pod) -> dict[str, str | None]:
    """What has another value in a pod, or (None) none there."""
    prefix = f"trio2o:{pod.pod_name}:"
    found: dict[str, str | None] = {
        key.removeprefix(prefix): specs[key] for key in specs if key.startswith(prefix)
    }
    if here := [zone for name in zones_of(specs) if (zone := pod.zone(name))]:
        # a pod that is sent no AZ is not asked for one by a type either
        found[ZONES] = ",".join(zone.volume for zone in here if zone.volume) or None
    return found


def to_pod(specs: Specs, pod: Pod) -> dict[str, str]:
    """Extra specs as a pod has to have them."""
    own = local(specs, pod)
    kept = {kept_as(name): specs.get(name, _NONE) for name in own}
    values = {**specs, **own, **kept}
    return {name: value for name, value in values.items() if value is not None}


def to_top(seen: Specs) -> dict[str, str]:
    """What the extra specs of a pod say that they are."""
    found = {name: value for name, value in seen.items() if not name.startswith(_TOP)}
    for key, value in seen.items():
        if key.startswith(_TOP):
            found[key.removeprefix(_TOP)] = value
    return {name: value for name, value in found.items() if value != _NONE}
