"""Aggregates as definitions: in each pod of which they have hosts, with those hosts.

At the top, `hosts` are objects: `pod` (its id), `host` (its name there), `name` (as it is shown).
In a pod they are the names there.
"""

from trio2o.definitions._kind import Document, Step
from trio2o.definitions._listed import Listed
from trio2o.domain.errors import PodUnavailable
from trio2o.domain.values import Pod

_ROOT, _ONE, _ACTION = "/os-aggregates", "/os-aggregates/{id}", "/os-aggregates/{id}/action"

ZONE = "availability_zone"


class Aggregates(Listed):
    """Name, metadata, and hosts; the AZ is among the metadata."""

    name, service, adopts = "aggregate", "compute", False
    taken = "Aggregate {name} already exists."
    path = listing = _ROOT
    key, rows = "aggregate", "aggregates"

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        try:
            plain = {name: shown[name] for name in ("name", "metadata")}
            return plain | {"hosts": sorted(shown["hosts"])}
        except (KeyError, TypeError):
            raise PodUnavailable(pod.pod_name, "its aggregates are none") from None

    async def look(self, pod: Pod, id: str, wanted: Document) -> tuple[str, Document] | None:
        """A pod has few of them, and shows all that there is of each in its list."""
        found = await self.observe(pod)
        if id:
            return (id, found[id]) if id in found else None
        same = ((key, one) for key, one in found.items() if one["name"] == wanted["name"])
        return next(same, None)

    def in_pod(self, wanted: Document, pod: Pod) -> Document | None:
        """Where it has no hosts it is not; the AZ has the name that it has there, if any."""
        hosts = sorted(one["host"] for one in wanted["hosts"] if one["pod"] == pod.pod_id)
        if not hosts:
            return None
        metadata = {name: value for name, value in wanted["metadata"].items() if name != ZONE}
        zone = pod.zone(str(wanted["metadata"].get(ZONE)))
        if zone is not None and zone.compute:
            metadata[ZONE] = zone.compute
        return {"name": wanted["name"], "metadata": metadata, "hosts": hosts}

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        """Nova deletes only what has no hosts."""
        if wanted is None:
            if seen is None:
                return ()
            return (*_hosts([], seen["hosts"]), Step("DELETE", _ONE, fine=404))
        steps: list[Step] = []
        if seen is None:
            told = {"name": wanted["name"]}
            if ZONE in wanted["metadata"]:
                told[ZONE] = wanted["metadata"][ZONE]
            steps.append(Step("POST", _ROOT, {"aggregate": told}, makes="aggregate"))
            zone = {name: told[name] for name in (ZONE,) if name in told}
            seen = {"name": wanted["name"], "metadata": zone, "hosts": []}
        if wanted["name"] != seen["name"]:
            steps.append(Step("PUT", _ONE, {"aggregate": {"name": wanted["name"]}}))
        want, have = wanted["metadata"], seen["metadata"]
        changed = {
            name: want.get(name) for name in {*want, *have} if want.get(name) != have.get(name)
        }
        if changed:
            steps.append(Step("POST", _ACTION, {"set_metadata": {"metadata": changed}}))
        return (*steps, *_hosts(wanted["hosts"], seen["hosts"]))


def _hosts(wanted: list[str], seen: list[str]) -> tuple[Step, ...]:
    gone, new = sorted(set(seen) - set(wanted)), sorted(set(wanted) - set(seen))
    return (
        *(Step("POST", _ACTION, {"remove_host": {"host": host}}, fine=404) for host in gone),
        *(Step("POST", _ACTION, {"add_host": {"host": host}}) for host in new),
    )
