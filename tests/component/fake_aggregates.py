"""Aggregates of a fake Nova, and the hosts that they can have."""

from typing import TYPE_CHECKING

from fake_http import Call, Fault, Reply, Row

if TYPE_CHECKING:
    from fakes import FakePod


def services(pod: "FakePod") -> Reply:
    rows = [{"binary": "nova-compute", "host": host, "zone": pod.zones[0]} for host in pod.hosts]
    return 200, {"services": rows}


def aggregates(pod: "FakePod", call: Call, path: list[str]) -> Reply:
    """What Nova does under `/os-aggregates`; it looks at the body first, at the number last."""
    if not call.admin:
        raise Fault(403, "Policy doesn't allow os_compute_api:os-aggregates to be performed.")
    rows = pod.rows["aggregates"]
    if not path:
        if call.method == "GET":
            return 200, {"aggregates": list(rows.values())}
        return create(pod, call.part("aggregate"))
    wish = check(pod, call, path)
    if path[0] not in rows:
        raise Fault(404, f"Aggregate {path[0]} could not be found.")
    row = rows[path[0]]
    match (call.method, *path[1:]):
        case ("PUT",):
            row |= {key: wish[key] for key in ("name",) if key in wish}
        case ("DELETE",):
            if row["hosts"]:
                raise Fault(400, f"Cannot remove host from aggregate {row['id']}. Reason: hosts.")
            del rows[path[0]]
            return 200, None
        case "POST", "images":
            row.setdefault("_cached", []).extend(one["id"] for one in wish["cache"])
            return 202, None
        case "POST", "action":
            act(pod, row, wish)
    return 200, {"aggregate": row}


def create(pod: "FakePod", wish: Row) -> Reply:
    rows = pod.rows["aggregates"]
    if wish["name"] in {row["name"] for row in rows.values()}:
        raise Fault(409, f"Aggregate {wish['name']} already exists.")
    zone = wish.get("availability_zone")
    number = max((row["id"] for row in rows.values()), default=0) + 1
    row: Row = {"id": number, "name": wish["name"], "hosts": []}
    row["metadata"] = {"availability_zone": zone} if zone else {}
    rows[str(number)] = row
    return 200, {"aggregate": row}


def check(pod: "FakePod", call: Call, path: list[str]) -> Row:
    if not path[0].isdigit():
        raise Fault(400, "Invalid input received: id must be an integer")
    wish: Row = call.json if call.body else {}
    wish = wish.get("aggregate", wish)
    if call.method == "PUT" and not {"name", "availability_zone"} & set(wish):
        raise Fault(400, "Invalid input for field/attribute aggregate.")
    for action in ("add_host", "remove_host"):
        if action in wish and wish[action]["host"] not in pod.hosts:
            raise Fault(404, f"Host '{wish[action]['host']}' is not mapped to any cell")
    return wish


def act(pod: "FakePod", row: Row, wish: Row) -> None:
    ((action, told),) = wish.items()
    if action == "set_metadata":
        new = row["metadata"] | told["metadata"]
        row["metadata"] = {name: value for name, value in new.items() if value is not None}
    elif action == "add_host":
        if pod.refuse:
            why = f"Cannot add host to aggregate {row['id']}. Reason: it is refused."
            raise Fault(pod.refuse, why)
        row["hosts"].append(told["host"])
    else:
        row["hosts"].remove(told["host"])
