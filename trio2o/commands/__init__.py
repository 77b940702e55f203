"""The command line: `trio2o`."""

import click

from trio2o import __version__
from trio2o.commands._db import db
from trio2o.commands._local import init, operations, serve
from trio2o.commands._remote import binding, definition, pod, register


@click.group()
@click.version_option(__version__, prog_name="trio2o")
def main() -> None:
    """One OpenStack in front of many."""


for command in (serve, init, operations, register, pod, binding, definition, db):
    main.add_command(command)
