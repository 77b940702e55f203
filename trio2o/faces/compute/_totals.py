"""One answer of all pods' numbers that only Nova has: statistics, usage, audits."""

from collections.abc import Sequence

from trio2o.faces.totals import Document, Said, add


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
