"""python3 -m tests.lab COMMAND: standard library first, then the lab's own Python."""

import argparse
import os
import sys

from . import commands, install, lock, settings, topology

REGIONS = ("RegionOne", "Central", "Pod1", "Pod2", "Pod3")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m tests.lab", description=__doc__)
    command = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command.add_parser("install", help="Debian packages and the virtual environment, no more")
    command.add_parser("up", help="make and start what is missing (LAB_PODS=1..3, default 2)")
    command.add_parser("down", help="stop all, keep the data")
    command.add_parser("reset", help="down, forget the data, up")
    command.add_parser("status", help="one line a process")
    fault = command.add_parser("fault", help="make a pod fail, or heal it")
    fault.add_argument("pod", type=str.title, choices=REGIONS[2:])
    fault.add_argument("kind", choices=("stop", "freeze", "heal"))
    proof = command.add_parser("proof", help="try a pod's APIs, from network to backup")
    proof.add_argument("region", type=str.title, choices=REGIONS[2:])
    env = command.add_parser("env", help="lines for a shell to evaluate")
    env.add_argument("--as", dest="account", default="admin", choices=topology.ACCOUNTS)
    env.add_argument("--region", default="RegionOne", choices=REGIONS)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    if arguments.command == "env":
        print(commands.environment(arguments.account, arguments.region))
        return 0
    if arguments.command == "status":
        return commands.status()
    if arguments.command == "proof":
        _in_venv()
        from . import proof

        proof.run(arguments.region)
        return 0
    with lock.held():
        return _run(arguments)


def _run(arguments: argparse.Namespace) -> int:
    match arguments.command:
        case "install":
            install.ensure()
        case "down":
            commands.down()
        case "fault" if arguments.kind != "heal":
            commands.fault(_number(arguments), arguments.kind)
        case _:
            install.ensure()
            _in_venv()
            _bring_up(arguments)
    return 0


def _number(arguments: argparse.Namespace) -> int:
    return int(arguments.pod.removeprefix("Pod"))


def _in_venv() -> None:
    """Go on with the Python that has all packages; the lock is taken anew there."""
    if not settings.in_venv():
        python = str(settings.VENV / "bin" / "python")
        os.execv(python, [python, "-m", __package__, *sys.argv[1:]])


def _bring_up(arguments: argparse.Namespace) -> None:
    from . import bringup  # needs the virtual environment

    if arguments.command == "reset":
        commands.forget()
    heals = arguments.command == "fault"
    bringup.up([_number(arguments)] if heals else settings.pods())


if __name__ == "__main__":
    sys.exit(main())
