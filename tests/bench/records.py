"""python -m tests.bench.records: durable route records a second, and CPU for each.

Writers wait for the disk as calls do: each records one route and, when it is durable, the next.
"""

from __future__ import annotations

import queue
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from twisted.internet.defer import Deferred

from trio2o.domain.values import Route
from trio2o.store import Store
from trio2o.store.routes import record_routes

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

WRITERS = (1, 32)
PROCESSES = (1, 3)
SECONDS = 2.0
ROUNDS = 3


class Handed:
    """A reactor that runs what the store's thread hands over."""

    def __init__(self) -> None:
        self.queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def callFromThread(self, callable: Any, *args: Any, **_: Any) -> None:  # noqa: N802
        self.queue.put(lambda: callable(*args))


def records(url: str, writers: int, seconds: float = SECONDS) -> tuple[float, float]:
    """Routes a second that one process records, so many waiting at any time; its CPU for one, in
    microseconds."""
    reactor = Handed()
    store = Store(reactor, url)
    done, ids, own = 0, count(), str(uuid.uuid4())[8:]

    def begin() -> None:
        id = f"{next(ids):08x}{own}"  # a random one each would be a third of what is measured
        route = Route("server", id, "pod", id, "0123456789abcdef0123456789abcdef")
        recorded = Deferred.fromCoroutine(store.add(record_routes, [route]))
        recorded.addCallback(ended)

    def ended(_: Any) -> None:
        nonlocal done
        done += 1
        if time.perf_counter() < end:
            begin()

    begun, used = time.perf_counter(), time.process_time()
    end = begun + seconds
    for _ in range(writers):
        begin()
    while time.perf_counter() < end:
        reactor.queue.get(timeout=15)()
    found = done / (time.perf_counter() - begun), 1e6 * (time.process_time() - used) / done
    store.close()
    return found


def measure(name: str, fresh: Callable[[], str]) -> None:
    for processes in PROCESSES:
        for writers in WRITERS:
            rounds, cpu = [], []
            for _ in range(ROUNDS):
                url = fresh()
                Store(Handed(), url).close()
                with ProcessPoolExecutor(processes) as pool:
                    each = list(pool.map(records, [url] * processes, [writers] * processes))
                rounds.append(sum(found for found, _ in each))
                cpu += [used for _, used in each]
            told = f"records {name} processes {processes} writers {writers}"
            print(f"{told}: {median(rounds):.0f} a second, CPU {median(cpu):.0f} us each")


def main() -> None:
    from postgresql import Cluster, programs

    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", lambda: f"sqlite:///{folder}/{uuid.uuid4()}.sqlite")
    if (found := programs()) is None:
        print("records postgresql: its programs are not installed")
        return
    cluster = Cluster(found)
    try:
        measure("postgresql", cluster.database)
    finally:
        cluster.remove()


if __name__ == "__main__":
    main()
