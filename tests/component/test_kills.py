"""kill -9 at random moments under load, over both databases: nothing acknowledged is lost, nothing
is made twice. With TRIO2O_SOAK=SECONDS it goes on for so long, and tells its figures (`-s`)."""

import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from appliance import Appliance, Client, eventually, operator
from fakes import Cloud
from postgresql import Cluster
from test_servers import SERVERS, wish
from test_workers import RECONCILERS, Many

LEASE = 2.0
SOAK = float(os.environ.get("TRIO2O_SOAK", "0"))
THREADS = 6


class Load:
    """Servers created all the time, each under a name of its own and never a second time."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self.clients = clients
        self.requests = 0
        self.acknowledged: dict[str, str] = {}  # name -> id
        self.over = threading.Event()
        self.counting = threading.Lock()

    def run(self, disturb: Callable[[], None]) -> None:
        with ThreadPoolExecutor(THREADS) as threads:
            working = [threads.submit(self.create, number) for number in range(THREADS)]
            try:
                disturb()
                # a machine that is busy with other things needs longer for the first of them
                eventually(lambda: len(self.acknowledged) >= THREADS, 60)
            finally:
                self.over.set()
            for one in working:
                one.result()

    def create(self, thread: int) -> None:
        number = 0
        while not self.over.is_set():
            number += 1
            client = self.clients[(thread + number) % len(self.clients)]
            name = f"{thread}-{number}-{uuid.uuid4()}"
            body = wish(name=name, availability_zone=("az1", "az2")[number % 2])
            with self.counting:
                self.requests += 1
            try:
                answer = client.ask("POST", "compute", SERVERS, body, timeout=20)
            except requests.RequestException:
                time.sleep(0.02)
                continue
            if answer.status_code == 202:
                self.acknowledged[name] = answer.json()["server"]["id"]

    def check(self, cloud: Cloud, admin: Client) -> None:
        """By a process that is up: each is found, by what the store says, and listed once."""
        made = {
            id: row["name"]
            for pod in (cloud.pod("Pod1"), cloud.pod("Pod2"))
            for id, row in pod.rows["servers"].items()
        }
        client = Client(admin.appliance, self.clients[0].project, self.clients[0].token)
        listed = [id for page in client.walk("compute", f"{SERVERS}?limit=500") for id in page]
        doubled = len(listed) - len(set(listed)) + len(made) - len(set(made.values()))
        lost = [
            id
            for id in self.acknowledged.values()
            if id not in listed or not routed(admin, id) or id not in made
        ]
        print(
            f"\nrequests {self.requests}, acknowledged {len(self.acknowledged)}, "
            f"made {len(made)}, lost {len(lost)}, doubled {doubled}"
        )
        assert len(self.acknowledged) >= THREADS
        assert lost == []
        assert doubled == 0
        assert sorted(listed) == sorted(made)
        for id in random.sample(sorted(made), min(10, len(made))):
            assert client.get("compute", f"{SERVERS}/{id}")["server"]["name"] == made[id]


def routed(admin: Client, id: str) -> bool:
    found = admin.get("admin", f"/v1.0/routings?resource_type=server&top_id={id}")["routings"]
    return len(found) == 1 and found[0]["deleted_at"] is None


def add_pods(admin: Client) -> None:
    for name, zone in (("RegionOne", ""), ("Pod1", "az1"), ("Pod2", "az2")):
        body = {"pod": {"pod_name": name, "az_name": zone}}
        assert admin.ask("POST", "admin", "/v1.0/pods", body).status_code == 200


def member(appliances: Sequence[Appliance]) -> list[Client]:
    """A project's clients, one for each appliance."""
    keystone = appliances[0].cloud.keystone
    project = keystone.project(f"project-{uuid.uuid4()}")
    token = keystone.token(project)
    return [Client(one, project, token) for one in appliances]


def rounds(least: int) -> Iterator[int]:
    end, number = time.monotonic() + SOAK, 0
    while number < least or time.monotonic() < end:
        yield number
        number += 1


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_workers_are_killed_one_and_all(
    cloud: Cloud, tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    cloud.reset()
    chance = random.Random(database)
    settings: dict[str, object] = {"service.workers": 3, "reconcile.lease": LEASE}
    if database == "postgresql":
        settings["store.url"] = request.getfixturevalue("postgresql").database()
    many = Many(cloud, tmp_path, **settings)
    try:
        many.start()
        add_pods(operator(many))
        time.sleep(0.5)
        load = Load(member([many]))

        def disturb() -> None:
            for number in rounds(2):
                time.sleep(0.3 + chance.random())
                if number % 2 == 0:
                    os.kill(chance.choice(many.workers), signal.SIGKILL)
                else:
                    many.kill()
                    many.start()
            time.sleep(0.3)

        load.run(disturb)
        load.check(cloud, operator(many))
    finally:
        many.kill()


def test_one_of_two_appliances_over_one_database_is_killed(
    cloud: Cloud, tmp_path: Path, postgresql: Cluster
) -> None:
    cloud.reset()
    chance, url = random.Random(7), postgresql.database()
    both = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        settings = {"store.url": url, "reconcile.lease": LEASE}
        both.append(Appliance(cloud, tmp_path / name, **settings))
    taken: list[float] = []
    try:
        for one in both:
            one.launch()
        for one in both:
            one.start()
        add_pods(operator(both[0]))
        eventually(lambda: len(operator(both[1]).get("admin", "/v1.0/pods")["pods"]) == 3, 1.5)
        load = Load(member(both))

        def disturb() -> None:
            for _ in rounds(1):
                time.sleep(0.3 + chance.random())
                holder = eventually(lambda: holding(both))
                other = both[1 - both.index(holder)]
                holder.kill()
                died = time.monotonic()
                eventually(lambda other=other: holding([other]), LEASE + 5)
                taken.append(time.monotonic() - died)
                run = operator(other).ask("POST", "admin", f"{RECONCILERS}/keypairs/run")
                assert run.status_code == 200
                holder.start()

        load.run(disturb)
        for one in both:
            load.check(cloud, operator(one))
        print(f"the lease was taken over after {max(taken):.1f} s at most, of {LEASE}")
        assert max(taken) < LEASE + 1
    finally:
        for one in both:
            one.kill()


def holding(appliances: Sequence[Appliance]) -> Appliance | None:
    """The one that says of itself that it runs the reconcilers."""
    for one in appliances:
        assert one.process is not None
        holder = operator(one).get("admin", RECONCILERS)["holder"]
        if holder and int(holder.split(":")[1]) == one.process.pid:
            return one
    return None
