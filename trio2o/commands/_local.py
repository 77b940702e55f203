"""Commands that act here: serve, init, and what the tables say."""

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import click
from attrs import evolve

from trio2o.commands._table import show
from trio2o.settings import BadSettings, Settings, commented, load

config_option = click.option(
    "--config",
    "-c",
    default="trio2o.toml",
    show_default=True,
    envvar="TRIO2O_CONFIG",
    help="The settings file.",
)


def settings_of(config: str) -> Settings:
    try:
        return load(config)
    except BadSettings as error:
        raise click.ClickException(str(error)) from None


@click.command()
@config_option
@click.option("--workers", type=click.IntRange(1, 64), help="In place of service.workers.")
@click.option("--worker", default="", hidden=True, help="What a parent tells its workers.")
def serve(config: str, workers: int | None, worker: str) -> None:
    """Run the appliance in the foreground, as `twistd -n trio2o` does."""
    settings = settings_of(config)
    if workers is not None:
        settings = evolve(settings, service=evolve(settings.service, workers=workers))
    from trio2o.running import install_reactor

    install_reactor()
    import txaio
    from txaio.tx import start_logging

    txaio.use_twisted()
    start_logging(out=sys.stdout, level=settings.log.level)
    from twisted.internet import reactor

    from trio2o.service import appliance_of

    running: Any = reactor
    appliance = appliance_of(running, settings, config, worker)
    running.callWhenRunning(appliance.startService)
    running.addSystemEventTrigger("before", "shutdown", appliance.stopService)
    running.run()
    if appliance.failed:
        raise SystemExit(1)


@click.command()
@click.option("--output", "-o", default="trio2o.toml", show_default=True, help="Where to.")
@click.option("--set", "given", multiple=True, metavar="SECTION.KEY=VALUE", help="A setting.")
def init(output: str, given: tuple[str, ...]) -> None:
    """Write a settings file in which each setting is explained."""
    path = Path(output)
    if path.exists():
        raise click.ClickException(f"{output} exists already")
    values: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals:
            raise click.ClickException(f"--set {item}: SECTION.KEY=VALUE is wanted")
        values[name.strip()] = _typed(name.strip(), value)
    text = commented(values)
    # it will hold a password
    try:
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{output} was written; set identity.password and the faces' URLs in it")


def _typed(name: str, value: str) -> Any:
    """A value from the command line as the setting's own type."""
    default: Any = Settings()
    for part in name.split("."):
        default = getattr(default, part, None)
    if default is None or not isinstance(default, (str, int, float, tuple)):
        raise click.ClickException(f"{name}: no such setting")
    if isinstance(default, tuple):
        return tuple(word.strip() for word in value.split(",") if word.strip())
    if isinstance(default, bool):
        value = {"true": "1", "false": ""}.get(value.lower(), value)
        if value not in ("1", ""):
            raise click.ClickException(f"{name}: true or false is wanted")
    try:
        return type(default)(value)
    except ValueError:
        raise click.ClickException(f"{name}: {value!r} is no {type(default).__name__}") from None


@click.command()
@click.option("--missing", is_flag=True, help="Only rows that are answered 501.")
@click.option("--count", is_flag=True, help="Rows by face and verb.")
def operations(missing: bool, count: bool) -> None:
    """List the rows of the APIs and the verb that serves each."""
    from trio2o.service import FACES

    rows = [
        (face.name, row.method, row.path, row.action, _verb(row.verb))
        for face in FACES
        for row in face.operations
    ]
    if missing:
        rows = [row for row in rows if row[-1] == "501"]
    if count:
        counted = Counter((row[0], row[-1]) for row in rows)
        show(("face", "verb", "rows"), [(*key, str(n)) for key, n in sorted(counted.items())])
    else:
        show(("face", "method", "path", "action", "verb"), rows)
    click.echo(f"{len(rows)} rows")


def _verb(verb: Any) -> str:
    """The verb's name; for a refusal its status."""
    verb = getattr(verb, "local", verb)
    status = getattr(verb, "status", None)
    return str(status) if status else type(verb).__name__.lower()
