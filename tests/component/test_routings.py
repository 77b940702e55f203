"""Routings: an operator sees where ids live, and repairs it."""

import uuid

from appliance import Appliance, Client
from fakes import FakePod
from test_admin_api import message, pod_of
from test_servers import SERVERS

ROUTINGS = "/v1.0/routings"


def rows(admin: Client, query: str = "") -> list[dict[str, str]]:
    found: list[dict[str, str]] = admin.get("admin", f"{ROUTINGS}{query}")["routings"]
    return found


def test_what_was_made_is_listed_shown_and_filtered(admin: Client, demo: Client) -> None:
    server, volume = demo.server("az1"), demo.volume("az2")
    one, two = (pod_of(admin, name)["pod_id"] for name in ("Pod1", "Pod2"))
    mine = f"?project_id={demo.project}"
    assert [(row["resource_type"], row["top_id"], row["pod_id"]) for row in rows(admin, mine)] == [
        ("server", server, one),
        ("volume", volume, two),
    ]
    (row,) = rows(admin, f"{mine}&pod_id={two}")
    assert row["pod_name"] == "Pod2" and row["deleted_at"] is None
    assert admin.get("admin", f"{ROUTINGS}/{row['id']}") == {"routing": row}
    assert rows(admin, f"{mine}&resource_type=network") == []
    odd = admin.ask("GET", "admin", f"{ROUTINGS}?colour=red")
    assert (odd.status_code, "colour" in message(odd)) == (400, True)


def test_pages_of_routings_are_followed_to_the_end(admin: Client, demo: Client) -> None:
    made = {demo.server("az1") for _ in range(5)}
    query = f"?project_id={demo.project}&limit=2"
    seen, path = [], f"{ROUTINGS}{query}"
    while path:
        page = admin.get("admin", path)
        seen += [row["top_id"] for row in page["routings"]]
        links = page.get("routings_links", [])
        path = links[0]["href"] if links else ""
        assert not path or path.startswith(admin.appliance.public("admin"))
    assert seen == sorted(made)


def test_a_wrong_routing_is_put_right(
    admin: Client, demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    server = demo.server("az2")
    path = f"{ROUTINGS}/server:{server}"
    moved = admin.ask("PUT", "admin", path, {"routing": {"pod_id": "Pod1"}})
    assert moved.json()["routing"]["pod_name"] == "Pod1"
    assert demo.ask("GET", "compute", f"{SERVERS}/{server}").status_code == 404
    assert admin.ask("DELETE", "admin", path).status_code == 200
    assert admin.ask("GET", "admin", path).status_code == 404
    assert demo.get("compute", f"{SERVERS}/{server}")["server"]["id"] == server  # found again
    assert rows(admin, f"?top_id={server}")[0]["pod_name"] == "Pod2"


def test_a_routing_is_made_by_hand(admin: Client, demo: Client, pod2: FakePod) -> None:
    server = pod2.add_server(demo.project)
    body = {"resource_type": "server", "top_id": server, "pod_id": "Pod2"}
    short = admin.ask("POST", "admin", ROUTINGS, {"routing": body})
    assert short.status_code == 422
    made = admin.ask("POST", "admin", ROUTINGS, {"routing": body | {"project_id": demo.project}})
    assert made.status_code == 200
    since = len(pod2.calls)
    assert demo.get("compute", f"{SERVERS}/{server}")["server"]["id"] == server
    assert not [call for call in pod2.calls[since:] if call.header("X-Service-Token")]
    again = admin.ask("POST", "admin", ROUTINGS, {"routing": body | {"project_id": "p"}})
    assert again.status_code == 409
    for wrong in ({"resource_type": "cat"}, {"top_id": "x"}, {"pod_id": "nowhere"}):
        odd = {"top_id": str(uuid.uuid4()), "project_id": "p"}
        answer = admin.ask("POST", "admin", ROUTINGS, {"routing": body | odd | wrong})
        assert answer.status_code == 422, wrong


def test_routings_are_for_admins(demo: Client) -> None:
    for method, path in (("GET", ROUTINGS), ("DELETE", f"{ROUTINGS}/server:x")):
        assert demo.ask(method, "admin", path).status_code == 403


def test_one_pod_of_an_az_with_several_is_asked_for_by_name(
    appliance: Appliance, admin: Client, demo: Client
) -> None:
    pods = "/v1.0/pods"
    body = {"pod": {"pod_name": "Pod3", "az_name": "az2"}}
    assert admin.ask("POST", "admin", pods, body).status_code == 200
    third = appliance.cloud.pod("Pod3")
    first = demo.server("az2")
    assert first in appliance.cloud.pod("Pod2").rows["servers"]
    asked = demo.server("az2.Pod3")
    assert asked in third.rows["servers"]
    shown = demo.get("compute", f"{SERVERS}/{asked}")["server"]
    assert shown["OS-EXT-AZ:availability_zone"] == "az2"
    assert demo.volume("az2.Pod3") in third.rows["volumes"]
    assert demo.server("az2") in appliance.cloud.pod("Pod2").rows["servers"]  # still bound there
    wrong = demo.ask(
        "POST",
        "compute",
        SERVERS,
        {"server": {"name": "n", "flavorRef": "1", "availability_zone": "az1.Pod3"}},
    )
    assert wrong.status_code == 400
