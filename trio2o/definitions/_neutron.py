"""What Neutron has for all projects: the first pod's id is the tenants'."""

from trio2o.definitions._kind import Document, Step, canonical
from trio2o.definitions._listed import Listed
from trio2o.domain.values import Pod

PROFILES = "service_profiles"


class _NeutronKind(Listed):
    """Has `fields` and (flavors) service profiles, by the tenants' ids.

    Nothing need be unique but ids: one that no definition is known to be is taken for what is
    wanted if it has the same in `by`.
    """

    name: str
    service = "network"
    taken = "Another is in the place of {key} in a pod."
    fields: tuple[str, ...]
    by: tuple[str, ...]

    async def _alike(self, pod: Pod, wanted: Document) -> Document | None:
        known = set(self._places(self.name).ids_in(pod).values())
        alike = [wanted.get(name) for name in self.by]
        rows = (row for row in await self._all(pod) if row["id"] not in known)
        return next((row for row in rows if [row.get(name) for name in self.by] == alike), None)

    async def _whole(self, pod: Pod, shown: Document) -> Document:
        """What has no name has what it is as one."""
        found: Document = {"name": canonical({name: shown.get(name) for name in self.by})}
        found |= {name: shown.get(name) for name in self.fields}
        if PROFILES in shown:
            tops = self._places("service_profile").tops
            found[PROFILES] = sorted(tops.get(id, id) for id in shown[PROFILES])
        return found

    def in_pod(self, wanted: Document, pod: Pod) -> Document:
        """A profile that is not in the pod yet is put to it by a later pass."""
        if PROFILES not in wanted:
            return wanted
        ids = self._places("service_profile").ids_in(pod)
        return wanted | {PROFILES: [top for top in wanted[PROFILES] if top in ids], "ids": ids}

    def plan(self, wanted: Document | None, seen: Document | None) -> tuple[Step, ...]:
        one = f"{self.path}/{{id}}"
        if wanted is None:
            return () if seen is None else (Step("DELETE", one, fine=404),)
        steps = []
        want = {name: wanted[name] for name in self.fields}
        if seen is None:
            steps.append(Step("POST", self.path, {self.key: want}, makes=self.key))
            seen = want
        if changed := {name: value for name, value in want.items() if seen[name] != value}:
            steps.append(Step("PUT", one, {self.key: changed}))
        have, profiles = set(seen.get(PROFILES, ())), set(wanted.get(PROFILES, ()))
        for top in sorted(have ^ profiles):
            id = wanted["ids"].get(top, top)
            steps.append(
                Step("DELETE", f"{one}/{PROFILES}/{id}", fine=404)
                if top in have
                else Step("POST", f"{one}/{PROFILES}", {"service_profile": {"id": id}})
            )
        return tuple(steps)


class ServiceProfiles(_NeutronKind):
    """What a flavor of a service is made of."""

    name, path, listing = "service_profile", "/service_profiles", "/service_profiles"
    key, rows = "service_profile", "service_profiles"
    by = ("driver", "metainfo", "description")
    fields = (*by, "enabled")


class NetworkFlavors(_NeutronKind):
    """Flavors of routers and the like."""

    name, path, listing = "network_flavor", "/flavors", "/flavors"
    key, rows = "flavor", "flavors"
    by = ("name", "service_type")
    fields = (*by, "description", "enabled")


class DefaultRules(_NeutronKind):
    """The rules that new security groups get. They are not adopted: a pod that lets more in by
    itself does not open the others."""

    name, adopts = "default_group_rule", False
    path = listing = "/default-security-group-rules"
    key, rows = "default_security_group_rule", "default_security_group_rules"
    by = fields = (
        *("ethertype", "direction", "protocol", "port_range_min", "port_range_max"),
        *("remote_ip_prefix", "remote_address_group_id", "remote_group_id", "description"),
        *("used_in_default_sg", "used_in_non_default_sg"),
    )


class DefaultStates(_NeutronKind):
    """Whether new security groups of a project (None: of any) are stateful."""

    name, adopts = "default_group_state", False
    path = listing = "/security-groups-default-statefulness"
    key = rows = "security_groups_default_statefulness"
    by, fields = ("project_id",), ("project_id", "stateful")


NEUTRON_KINDS = (ServiceProfiles, NetworkFlavors, DefaultRules, DefaultStates)
