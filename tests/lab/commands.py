"""What the commands do that need no virtual environment."""

import shutil

from . import processes, services, settings, topology
from .progress import step


def down() -> None:
    """Servers of the base last: the others write to them while they end."""
    base = [process.name for process in services.base()]
    processes.stop([name for name in processes.known() if name not in base], grace=2)
    processes.stop(base, grace=20)
    step("down")


def forget() -> None:
    """All but what takes long to make: the virtual environment and the schemas."""
    down()
    shutil.rmtree(settings.RUN, ignore_errors=True)


def status() -> int:
    """One line a process; the exit code says whether all of them run."""
    pods = [n for n in (1, 2, 3) if n in settings.pods() or _started(n)]
    wanted = services.base() + services.central()
    wanted += [process for number in pods for process in services.of_pod(number)]
    memory, total, missing = processes.memory(), 0, 0
    for process in wanted:
        pid = processes.pid_of(process.name)
        size = memory.get(pid or 0, 0) // 1024
        state = "frozen" if processes.is_frozen(process.name) else "up" if pid else "DOWN"
        total += size
        missing += state != "up"
        port = process.port or ""
        print(f"{process.name:22} {state:7} {port:>6} {pid or '':>8} {size:>6} MiB")
    print(f"{total} MiB in all; {missing} of {len(wanted)} processes not up")
    return 1 if missing else 0


def _started(number: int) -> bool:
    return any(name.startswith(f"pod{number}-") for name in processes.known())


def fault(number: int, kind: str) -> None:
    """Stop: every connection is refused. Freeze: connections open and nothing answers."""
    names = [process.name for process in services.of_pod(number)]
    if kind == "stop":
        processes.stop(names, grace=2)
    else:
        processes.freeze(names)
    step(f"{topology.pod_region(number)}: {kind}")


def environment(account: str, region: str) -> str:
    password, project = topology.ACCOUNTS[account]
    variables = {
        "OS_AUTH_TYPE": "password",
        "OS_AUTH_URL": topology.AUTH_URL,
        "OS_IDENTITY_API_VERSION": "3",
        "OS_USERNAME": account,
        "OS_PASSWORD": password,
        "OS_PROJECT_NAME": project,
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_REGION_NAME": region,
    }
    lines = [f"export {name}={value}" for name, value in variables.items()]
    return "\n".join([*lines, f'export PATH="{settings.VENV}/bin:$PATH"'])
