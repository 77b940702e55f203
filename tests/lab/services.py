"""The table of all processes: what each is started with, in which stage, and its port."""

import os
from pathlib import Path

from . import settings, topology
from .conf import ini, nginx, pod
from .processes import Process, Stage

THREADS = 8


def base() -> list[Process]:
    return [_memcached(), _erlang_names(), _mariadb(), _rabbit()]


def central() -> list[Process]:
    etc = settings.ETC
    return _with_nginx(
        "central",
        [
            _api(
                "keystone",
                "keystone.wsgi.api",
                topology.KEYSTONE,
                Stage.FRONT,
                etc / "keystone",
                {"OS_KEYSTONE_CONFIG_DIR": f"{etc}/keystone"},
            ),
            _api(
                "glance",
                "glance.wsgi.api",
                topology.GLANCE,
                Stage.REST,
                etc / "glance",
                {"OS_GLANCE_CONFIG_DIR": f"{etc}/glance"},
            ),
            _neutron("central-neutron", topology.CENTRAL_NEUTRON, etc / "central-neutron"),
        ],
    )


def of_pod(number: int) -> list[Process]:
    name, etc = f"pod{number}", pod.folder_of(number)
    placement = _api(
        f"{name}-placement",
        "placement.wsgi.api",
        topology.pod_port(number, "placement"),
        Stage.PLACEMENT,
        etc / "placement",
        {"OS_PLACEMENT_CONFIG_DIR": f"{etc}/placement"},
    )
    neutron = _neutron(f"{name}-neutron", topology.pod_port(number, "neutron"), etc / "neutron")
    ovn = _ovn(number) if settings.is_ovn(number) else []
    return _with_nginx(name, [placement, *ovn, neutron, *_nova(number, etc), *_cinder(number, etc)])


def _ovn(number: int) -> list[Process]:
    """OVN's databases, northd, and what stands for the host's controller."""
    name, state = f"pod{number}", ini.state_folder(f"pod{number}-ovn")
    found, sides = [], {"north": "nb", "south": "sb"}
    for side, short in sides.items():
        file, port = state / f"{short}.db", topology.pod_port(number, f"ovn-{side}")
        schema = f"/usr/share/ovn/ovn-{short}.ovsschema"
        make = f"test -e {file} || ovsdb-tool create {file} {schema}"
        serve = f"ovsdb-server {file} --remote=ptcp:{port}:{topology.IP} --unixctl={state}/{short}"
        command = ["/bin/sh", "-c", f"{make} && exec {serve}"]
        found.append(Process(f"{name}-ovn-{side}", command, Stage.FRONT))
    north, south = (topology.ovn_database(number, side) for side in sides)
    command = ["ovn-northd", f"--ovnnb-db={north}", f"--ovnsb-db={south}"]
    command.append(f"--unixctl={state}/northd")
    found.append(Process(f"{name}-ovn-northd", command, Stage.PLACEMENT))
    command = [f"{settings.VENV}/bin/python", "-m", "labplugin.chassis", f"{name}-node1"]
    command += ["bridge:br-bridge,extern:br-extern", north, south]
    variables = {"PYTHONPATH": str(settings.PLUGIN)}
    found.append(Process(f"{name}-ovn-chassis", command, Stage.CONDUCTOR, variables))
    return found


def _nova(number: int, etc: Path) -> list[Process]:
    name, folder = f"pod{number}", etc / "nova"
    binary = settings.VENV / "bin"
    return [
        _worker(f"{name}-nova-conductor", [binary / "nova-conductor"], Stage.CONDUCTOR, folder),
        _worker(f"{name}-nova-scheduler", [binary / "nova-scheduler"], Stage.CONDUCTOR, folder),
        _worker(
            f"{name}-nova-compute",
            [binary / "python", "-m", "labplugin.compute"],
            Stage.REST,
            folder,
        ),
        _api(
            f"{name}-nova-api",
            "nova.wsgi.osapi_compute",
            topology.pod_port(number, "nova"),
            Stage.REST,
            folder,
            {"OS_NOVA_CONFIG_DIR": str(folder)},
        ),
    ]


def _cinder(number: int, etc: Path) -> list[Process]:
    name, folder = f"pod{number}", etc / "cinder"
    workers = ("cinder-scheduler", "cinder-volume", "cinder-backup")
    api = _api(
        f"{name}-cinder-api",
        "cinder.wsgi.api",
        topology.pod_port(number, "cinder"),
        Stage.REST,
        folder,
        {},
        f"--config-file {folder}/cinder.conf",
    )
    return [
        *(
            _worker(f"{name}-{worker}", [settings.VENV / "bin" / worker], Stage.FRONT, folder)
            for worker in workers
        ),
        api,
    ]


def _neutron(name: str, port: int, folder: Path) -> Process:
    variables = {"OS_NEUTRON_CONFIG_DIR": str(folder)}
    return _api(name, "neutron.wsgi.api", port, Stage.REST, folder, variables)


def _api(
    name: str,
    module: str,
    port: int,
    stage: Stage,
    folder: Path,
    variables: dict[str, str],
    arguments: str = "",
) -> Process:
    command = [
        *(f"{settings.VENV}/bin/uwsgi", "--socket", f"{settings.SOCK}/{name}.sock"),
        *("--chmod-socket=600", "--virtualenv", str(settings.VENV)),
        *("--pythonpath", str(settings.PLUGIN), "--module", f"{module}:application"),
        *("--need-app", "--processes", "1", "--threads", str(THREADS), "--enable-threads"),
        *("--buffer-size", "65535", "--listen", "1024", "--die-on-term", "--disable-logging"),
        *("--procname", f"lab-{name}"),
    ]
    if arguments:
        command += ["--pyargv", arguments]
    return Process(name, command, stage, variables, port, folder)


def _worker(name: str, program: list[object], stage: Stage, folder: Path) -> Process:
    file = folder / f"{folder.name}.conf"
    command = [str(word) for word in program] + ["--config-file", str(file)]
    return Process(name, command, stage, {"PYTHONPATH": str(settings.PLUGIN)}, config=folder)


def _with_nginx(region: str, processes: list[Process]) -> list[Process]:
    config = nginx.path_of(region)
    command = ["/usr/sbin/nginx", "-c", str(config), "-e", f"{settings.LOG}/{region}-nginx.log"]
    return [Process(f"{region}-nginx", command, Stage.FRONT, config=config), *processes]


def _as_root(*words: str) -> list[str]:
    """Some servers want it said when they are to run as root."""
    return list(words) if os.geteuid() == 0 else []


def _memcached() -> Process:
    port = topology.MEMCACHED
    command = ["memcached", "-l", topology.IP, "-p", str(port), "-m", "256", "-c", "4096"]
    return Process("memcached", command + _as_root("-u", "root"), Stage.BASE, port=port)


def _erlang_names() -> Process:
    """RabbitMQ would start one by itself, which then would outlive it."""
    port = topology.ERLANG_NAMES
    command = ["epmd", "-port", str(port), "-address", topology.IP]
    return Process("epmd", command, Stage.BASE, port=port)


def _mariadb() -> Process:
    command = [
        *("/usr/sbin/mariadbd", "--no-defaults", *_as_root("--user=root")),
        *(f"--datadir={settings.RUN}/mysql", f"--tmpdir={settings.RUN}/mysql-tmp"),
        *(f"--socket={settings.SOCK}/mysql.sock", f"--pid-file={settings.RUN}/state/mariadb.pid"),
        *(f"--bind-address={topology.IP}", f"--port={topology.MARIADB}", "--skip-name-resolve"),
        *("--skip-log-bin", "--performance-schema=OFF", "--max-connections=2000"),
        *("--character-set-server=utf8mb4", "--transaction-isolation=READ-COMMITTED"),
        # Nothing here is worth a wait for the disk.
        *("--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0"),
        *("--innodb-flush-method=nosync", "--innodb-file-per-table=OFF"),
        *("--innodb-buffer-pool-size=512M", "--innodb-stats-persistent=0"),
        "--table-open-cache=4000",
    ]
    return Process("mariadb", command, Stage.BASE, port=topology.MARIADB)


def _rabbit() -> Process:
    etc, home = settings.ETC / "rabbit", settings.RUN / "rabbit"
    variables = {
        "HOME": str(home),
        "RABBITMQ_NODENAME": "lab@localhost",
        "RABBITMQ_CONF_ENV_FILE": f"{etc}/rabbitmq-env.conf",
        "RABBITMQ_CONFIG_FILE": f"{etc}/rabbitmq",
        "RABBITMQ_ENABLED_PLUGINS_FILE": f"{etc}/enabled_plugins",
        "RABBITMQ_MNESIA_BASE": f"{home}/db",
        "RABBITMQ_LOG_BASE": str(settings.LOG),
        "RABBITMQ_PID_FILE": f"{settings.RUN}/state/rabbitmq.pid",
        "RABBITMQ_DIST_PORT": str(topology.ERLANG_NODE),
        "ERL_EPMD_PORT": str(topology.ERLANG_NAMES),
        "ERL_EPMD_ADDRESS": topology.IP,
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none +sbwtdcpu none +sbwtdio none"
        " -kernel inet_dist_use_interface {127,0,0,1}",
    }
    # The command of this name in /usr/sbin changes to a user of its own.
    command = ["/usr/lib/rabbitmq/bin/rabbitmq-server"]
    return Process("rabbitmq", command, Stage.BASE, variables, topology.RABBIT, etc)
