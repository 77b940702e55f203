"""One answer of all pods' numbers: limits, quotas, statistics, usage, audits.

Each pod holds the same limits (they are written to all), so a limit is the least that a pod has;
what is used is added up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from trio2o.domain.values import Pod

Document = dict[str, Any]
Said = Sequence[tuple[Pod, Document]]


def least(limits: Iterable[int]) -> int:
    """The tightest of limits, of which -1 is none."""
    return min(limits, key=lambda limit: (limit < 0, limit))


def _numbers(documents: Sequence[Document], name: str) -> list[Any]:
    return [one[name] for one in documents if isinstance(one.get(name), (int, float))]


def add(documents: Sequence[Document]) -> Document:
    """Every number added up; the rest as the first says."""
    added = dict(documents[0])
    for name, value in added.items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            added[name] = sum(_numbers(documents, name))
    return added


def limits(said: Said) -> Document:
    """`max*` are limits, all else is in use."""
    absolutes = [document["limits"]["absolute"] for _, document in said]
    absolute = {
        name: (least if name.startswith("max") else sum)(_numbers(absolutes, name))
        for name in absolutes[0]
    }
    return {"limits": said[0][1]["limits"] | {"absolute": absolute}}


def quotas(said: Said) -> Document:
    """A limit by each name, or one with what is in use and reserved of it."""
    sets = [document["quota_set"] for _, document in said]
    shown: Document = {}
    for name, value in sets[0].items():
        values = [one[name] for one in sets if name in one]
        if isinstance(value, dict):
            shown[name] = add(values) | {"limit": least(one["limit"] for one in values)}
        else:
            shown[name] = least(values) if isinstance(value, int) else value
    return {"quota_set": shown}


def statistics(said: Said) -> Document:
    return {"hypervisor_statistics": add([one["hypervisor_statistics"] for _, one in said])}


def audit(key: str, said: Said) -> Document:
    """A host that other pods may have too is named with its pod."""
    audits = [(pod, document[key]) for pod, document in said]
    joined = add([one for _, one in audits])
    joined["hosts_not_run"] = [
        f"{host}.{pod.pod_name}" for pod, one in audits for host in one.get("hosts_not_run", ())
    ]
    joined["log"] = {
        f"{host}.{pod.pod_name}": entry
        for pod, one in audits
        for host, entry in one.get("log", {}).items()
    }
    done, hosts = joined.get("num_hosts_done", 0), joined.get("num_hosts", 0)
    counted = "ALL hosts" if done == hosts else f"{done} of {hosts} hosts"
    joined["overall_status"] = f"{counted} done. {joined.get('total_errors', 0)} errors."
    return {key: joined}


def audits(said: Said) -> Document:
    return audit("instance_usage_audit_logs", said)


def one_audit(said: Said) -> Document:
    return audit("instance_usage_audit_log", said)


def usage_of(parts: Sequence[Document]) -> Document:
    """What one project used in several pods; the time asked for is the same in all."""
    joined = add(parts)
    if any("server_usages" in part for part in parts):
        joined["server_usages"] = [row for part in parts for row in part.get("server_usages", ())]
    return joined


def usages(said: Said) -> Document:
    by_project: dict[str, list[Document]] = {}
    for _, document in said:
        for part in document["tenant_usages"]:
            by_project.setdefault(part["tenant_id"], []).append(part)
    return {"tenant_usages": [usage_of(parts) for parts in by_project.values()]}


def usage(said: Said) -> Document:
    parts = [document["tenant_usage"] for _, document in said if document["tenant_usage"]]
    return {"tenant_usage": usage_of(parts) if parts else {}}
