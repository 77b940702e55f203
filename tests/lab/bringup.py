"""Bringing the lab up: what is missing is made, what is stopped is started, in order."""

from collections.abc import Callable, Iterable

import requests

from . import (
    content,
    identity,
    plugin_copy,
    processes,
    schema,
    services,
    settings,
    topology,
    waiting,
)
from .conf import neutron, nginx, pod, rabbit, shared
from .processes import Process, Stage
from .progress import step

FOLDERS = ("etc", "log", "pid", "sock", "state", "rabbit", "mysql-tmp")


def up(pods: Iterable[int]) -> None:
    """All shared services and these pods; others that run are left alone."""
    pods = list(pods)
    _files(pods)
    base, central = services.base(), services.central()
    wanted = central + [process for number in pods for process in services.of_pod(number)]
    processes.wake(process.name for process in wanted)
    _base(base)
    schema.load(pods)
    _start(wanted, Stage.FRONT)
    _answering(process for process in central if process.name == "keystone")
    api = identity.fill(pods)
    step("Keystone answers and has its content")
    _start(wanted, Stage.PLACEMENT)
    _answering(process for process in wanted if process.stage == Stage.PLACEMENT)
    step("Placement answers")
    _start(wanted, Stage.CONDUCTOR)
    _start(wanted, Stage.REST)
    _answering(wanted)
    step("all APIs answer")
    _fill_and_await(api, pods)
    _none_died(base + wanted)
    step(f"ready: {', '.join(map(topology.pod_region, pods))}")


def _files(pods: list[int]) -> None:
    settings.STATE.chmod(0o700)
    for name in FOLDERS:
        (settings.RUN / name).mkdir(parents=True, exist_ok=True)
    plugin_copy.refresh()
    rabbit.write()
    shared.keystone(settings.ETC / "keystone")
    (settings.ETC / "glance").mkdir(exist_ok=True)
    shared.glance(settings.ETC / "glance")
    neutron.central(settings.ETC / "central-neutron")
    nginx.write("central", _ports(services.central()))
    for number in pods:
        pod.write(number)
        nginx.write(f"pod{number}", _ports(services.of_pod(number)))


def _ports(found: list[Process]) -> dict[str, int]:
    return {process.name: process.port for process in found if process.port}


def _base(base: list[Process]) -> None:
    schema.make_data_folder()
    for process in base:
        processes.start(process)
    waiting.until("mariadb", schema.grant)
    for process in base:
        waiting.until_port(process.name, process.port)
    step("MariaDB, RabbitMQ and memcached answer")


def _start(wanted: list[Process], stage: Stage) -> None:
    for process in wanted:
        if process.stage == stage:
            processes.start(process)


def _answering(wanted: Iterable[Process]) -> None:
    for process in wanted:
        if process.port:
            waiting.until(process.name, _answers(process.port))


def _answers(port: int) -> Callable[[], bool]:
    url = f"http://{topology.IP}:{port}/"
    return lambda: requests.get(url, timeout=10).status_code < 500


def _fill_and_await(api: identity.Api, pods: list[int]) -> None:
    content.image(api)
    for number in pods:
        content.flavors(api, number)
    for number in pods:
        content.await_workers(api, number)


def _none_died(wanted: list[Process]) -> None:
    dead = [process.name for process in wanted if not processes.pid_of(process.name)]
    if dead:
        raise SystemExit(f"ended by themselves: {', '.join(dead)}; see {settings.LOG}")
