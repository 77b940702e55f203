"""Lists: the same rows, order and pages as of one cloud that held all that the pods hold."""

import itertools
import random
import threading
import time
import uuid

import pytest
from appliance import Appliance, Client, eventually
from fakes import Cloud, FakePod
from test_admin_api import add

SERVERS, DETAIL = "/v2.1/servers", "/v2.1/servers/detail"


def fill(demo: Client, pods: list[FakePod], times: list[str]) -> list[str]:
    """Servers with these creation times, dealt to the pods; their ids as they must be listed."""
    rows = []
    for time_, pod in zip(times, itertools.cycle(pods), strict=False):
        rows.append((time_, pod.add_server(demo.project, f"s{len(rows)}", created=time_)))
    rows.sort(key=lambda row: row[1])
    rows.sort(key=lambda row: row[0], reverse=True)
    return [id for _, id in rows]


def moments(count: int, seed: int = 1) -> list[str]:
    """Times of which about half are the same as another."""
    chosen = random.Random(seed)
    return [f"2026-01-01T00:00:{chosen.randrange(count // 2):02}" for _ in range(count)]


@pytest.mark.parametrize("path", [SERVERS, DETAIL, "/v2.1/{project}/servers"])
def test_servers_of_all_pods_are_listed_newest_first_then_by_id(
    demo: Client, pod1: FakePod, pod2: FakePod, path: str
) -> None:
    expected = fill(demo, [pod1, pod2], moments(11))
    assert demo.ids("compute", path.format(project=demo.project)) == expected


@pytest.mark.parametrize("path", [SERVERS, DETAIL, "/v2.1/{project}/servers/detail"])
@pytest.mark.parametrize("limit", [1, 3, 11, 100])
def test_pages_are_the_whole_list_each_row_once(
    demo: Client, pod1: FakePod, pod2: FakePod, path: str, limit: int
) -> None:
    expected = fill(demo, [pod1, pod2], moments(11))
    pages = list(demo.walk("compute", f"{path.format(project=demo.project)}?limit={limit}"))
    assert [id for page in pages for id in page] == expected
    assert all(len(page) <= limit for page in pages)
    assert len(pages) >= -(-11 // limit)


def test_pages_are_whole_where_one_pod_has_almost_all(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    expected = fill(demo, [pod1], moments(10)) + fill(demo, [pod2], ["2020-01-01T00:00:00"])
    pages = demo.walk("compute", f"{SERVERS}?limit=3")
    assert [id for page in pages for id in page] == expected


def test_pages_are_whole_where_all_were_made_at_one_moment(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    expected = fill(demo, [pod1, pod2], ["2026-01-01T00:00:00"] * 9)
    assert expected == sorted(expected)
    pages = demo.walk("compute", f"{DETAIL}?limit=2")
    assert [id for page in pages for id in page] == expected


def test_any_servers_id_is_a_marker(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    expected = fill(demo, [pod1, pod2], moments(8))
    for place, id in enumerate(expected):
        assert demo.ids("compute", f"{SERVERS}?marker={id}") == expected[place + 1 :]
        two = demo.ids("compute", f"{DETAIL}?marker={id}&limit=2")
        assert two == expected[place + 1 : place + 3]


def test_small_pages_of_the_pods_do_not_show(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    pod1.page_cap = pod2.page_cap = 2
    expected = fill(demo, [pod1, pod2], moments(11))
    assert demo.ids("compute", SERVERS) == expected
    pages = demo.walk("compute", f"{SERVERS}?limit=5")
    assert [id for page in pages for id in page] == expected


def test_a_page_goes_on_behind_a_server_that_was_deleted_meanwhile(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    expected = fill(demo, [pod1, pod2], moments(9))
    for deleted in (2, 3):
        first = demo.get("compute", f"{SERVERS}?limit={deleted + 1}")
        assert [row["id"] for row in first["servers"]] == expected[: deleted + 1]
        marker = expected.pop(deleted)
        assert demo.ask("DELETE", "compute", f"{SERVERS}/{marker}").status_code == 204
        assert (
            demo.ids("compute", first["servers_links"][0]["href"])
            == expected[deleted:][: deleted + 1]
        )


def test_what_is_made_between_pages_is_never_shown_twice(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    expected = fill(demo, [pod1, pod2], moments(9))
    seen = []
    for page in demo.walk("compute", f"{SERVERS}?limit=2"):
        seen += page
        pod1.add_server(demo.project, created="2027-01-01T00:00:00")
        pod2.add_server(demo.project, created="2027-01-01T00:00:00")
    assert seen == expected


@pytest.mark.parametrize("marker", [str(uuid.uuid4()), "nonsense"])
def test_an_unknown_marker_is_400(demo: Client, pod1: FakePod, marker: str) -> None:
    demo.server("az1")
    answer = demo.ask("GET", "compute", f"{SERVERS}?marker={marker}")
    assert answer.status_code == 400
    assert marker in answer.json()["badRequest"]["message"]


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "limit=1.5"])
def test_a_limit_that_is_no_number_is_400(demo: Client, query: str) -> None:
    answer = demo.ask("GET", "compute", f"{SERVERS}?{query}")
    assert (answer.status_code, list(answer.json())) == (400, ["badRequest"])


def test_a_limit_of_zero_is_an_empty_list(demo: Client) -> None:
    demo.server("az1")
    assert demo.get("compute", f"{SERVERS}?limit=0") == {"servers": []}


def test_next_links_keep_the_clients_query(demo: Client, appliance: Appliance) -> None:
    for zone in ("az1", "az2", "az1"):
        demo.server(zone, name="a b&c")
    path = f"/v2.1/{demo.project}/servers/detail?limit=1&name=a%20b%26c&status=ACTIVE"
    pages = list(demo.walk("compute", path))
    assert [len(page) for page in pages[:3]] == [1, 1, 1]
    href = demo.get("compute", path)["servers_links"][0]["href"]
    assert href.startswith(f"{appliance.public('compute')}/v2.1/{demo.project}/servers/detail?")
    assert "status=ACTIVE" in href and "limit=1" in href


def test_filters_are_the_pods_to_apply(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    wanted = [demo.server("az1", name="web"), demo.server("az2", name="web")]
    demo.server("az1", name="db")
    assert sorted(demo.ids("compute", f"{SERVERS}?name=web")) == sorted(wanted)
    demo.ask("POST", "compute", f"{SERVERS}/{wanted[1]}/action", {"os-stop": None})
    assert demo.ids("compute", f"{DETAIL}?status=shutoff") == [wanted[1]]


def test_an_az_as_filter_is_the_tenants_az(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    one, two = demo.server("az1"), demo.server("az2")
    assert demo.ids("compute", f"{DETAIL}?availability_zone=az2") == [two]
    assert demo.ids("compute", f"{SERVERS}?availability_zone=az1") == [one]
    asked = len(pod1.calls_to("GET", "servers"))
    assert demo.ids("compute", f"{DETAIL}?availability_zone=az9") == []
    assert len(pod1.calls_to("GET", "servers")) == asked


def test_servers_of_other_projects_are_not_listed(
    demo: Client, admin: Client, pod1: FakePod, pod2: FakePod
) -> None:
    hidden = [pod1.add_server("somebody"), pod2.add_server("somebody")]
    own = demo.server("az1")
    assert demo.ids("compute", SERVERS) == [own]
    found = admin.ids("compute", f"{DETAIL}?all_tenants=1")
    assert sorted(found) == sorted([*hidden, own])
    assert demo.ask("GET", "compute", f"{SERVERS}?all_tenants=1").status_code == 403


def test_sorting_by_another_key_holds_over_pods(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    # the fakes do not sort: what is theirs to sort comes sorted already
    for pod, names in ((pod1, "ace"), (pod2, "bdf")):
        for place, name in enumerate(names):
            pod.add_server(demo.project, name, created=f"2026-01-01T00:00:0{9 - place}")
    path = f"{DETAIL}?sort_key=display_name&sort_dir=asc"
    names = [row["name"] for row in demo.get("compute", path)["servers"]]
    assert names == list("abcdef")


def test_a_third_pod_is_listed_as_soon_as_it_is_added(
    demo: Client, admin: Client, cloud: Cloud
) -> None:
    server = cloud.pod("Pod3").add_server(demo.project)
    assert demo.ids("compute", SERVERS) == []
    add(admin, "Pod3", "az3")
    assert demo.ids("compute", SERVERS) == [server]


def test_a_dead_pod_is_named_and_the_others_are_listed(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    one, two = demo.server("az1"), demo.server("az2")
    pod2.down()
    for _ in range(8):  # before and after its breaker opens
        for path in (SERVERS, DETAIL):
            answer = demo.ask("GET", "compute", path)
            assert answer.status_code == 200
            assert [row["id"] for row in answer.json()["servers"]] == [one]
            assert answer.headers["X-Trio2o-Unavailable-Pods"] == "Pod2"
    pod2.up()
    eventually(lambda: set(demo.ids("compute", SERVERS)) == {one, two})
    assert "X-Trio2o-Unavailable-Pods" not in demo.ask("GET", "compute", SERVERS).headers


@pytest.mark.parametrize("query", ["name=one", "status=ACTIVE", "metadata=%7B%7D", "x=y"])
def test_a_list_of_certain_servers_is_503_while_a_pod_is_down(
    demo: Client, pod2: FakePod, query: str
) -> None:
    demo.server("az1")
    pod2.down()
    answer = demo.ask("GET", "compute", f"{SERVERS}?{query}")
    assert answer.status_code == 503
    assert "Pod2" in answer.json()["serviceUnavailable"]["message"]
    assert int(answer.headers["Retry-After"]) > 0
    assert demo.ask("GET", "compute", f"{SERVERS}?limit=5").status_code == 200
    healthy = demo.ask("GET", "compute", f"{SERVERS}?availability_zone=az1&{query}")
    assert healthy.status_code == 200


def test_a_list_is_503_when_no_pod_answers(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    pod1.down()
    pod2.down()
    answer = demo.ask("GET", "compute", SERVERS)
    assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)


def test_pods_are_asked_at_the_same_time(demo: Client, pod1: FakePod, pod2: FakePod) -> None:
    together = threading.Barrier(2, timeout=2)  # breaks unless both pods are asked at once
    met: list[str] = []

    def meet(method: str, path: str) -> None:
        if path.endswith("/servers/detail"):
            together.wait()
            met.append(path)

    pod1.before_answer = pod2.before_answer = meet
    begun = time.monotonic()
    demo.get("compute", SERVERS)
    assert len(met) == 2
    assert time.monotonic() - begun < 2


def test_no_more_than_a_page_is_asked_of_each_pod(
    demo: Client, pod1: FakePod, pod2: FakePod
) -> None:
    fill(demo, [pod1, pod2], moments(30))
    demo.get("compute", f"{SERVERS}?limit=4")
    for pod in (pod1, pod2):
        calls = pod.calls_to("GET", "/servers")
        assert [call.one("limit") for call in calls] == ["4"]


def test_an_empty_cloud_lists_nothing(bare: Appliance, admin: Client) -> None:
    answer = admin.ask("GET", "compute", SERVERS)
    assert answer.status_code in (200, 503)
    if answer.status_code == 200:
        assert answer.json() == {"servers": []}
