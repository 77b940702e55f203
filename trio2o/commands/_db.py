"""Commands that look after the store, here and while the appliance does not run."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from trio2o.commands._local import config_option, settings_of
from trio2o.commands._table import show
from trio2o.settings import Settings, store_url

# what needs the database is imported where it is used: other commands start without it


@click.group()
def db() -> None:
    """The store: check it, upgrade it, move it to PostgreSQL."""


@contextmanager
def alone(settings: Settings) -> Iterator[None]:
    """While nothing else uses the state; errors are printed."""
    from trio2o.state import lock_state

    try:
        lock = lock_state(settings)
    except OSError as error:
        raise click.ClickException(f"{error}: stop the appliance first") from None
    with lock, told():
        yield


@contextmanager
def told() -> Iterator[None]:
    from trio2o.store import NewerSchema, care

    try:
        yield
    except (care.Refused, NewerSchema) as error:
        raise click.ClickException(str(error)) from None


@db.command()
@config_option
def check(config: str) -> None:
    """Show the store's schema and how many rows there are; find what is damaged.

    Nothing is changed; the appliance may run.
    """
    from trio2o.store import care

    settings = settings_of(config)
    with told():
        found = care.check(settings.store_url)
    click.echo(care.shown(settings.store_url))
    click.echo(f"schema {found.schema or 'none'}, this Trio2o has {found.wanted}")
    show(("table", "rows"), [(name, str(rows)) for name, rows in sorted(found.rows.items())])
    if found.faults:
        raise click.ClickException("\n".join(found.faults))


@db.command()
@config_option
def upgrade(config: str) -> None:
    """Bring the store to this version's schema, as a start would."""
    from trio2o.store import care

    settings = settings_of(config)
    with alone(settings):
        click.echo(f"schema {care.upgrade(settings.store_url)}")


@db.command()
@click.option("--to", required=True, metavar="URL", help="postgresql+psycopg://USER@HOST/NAME")
@config_option
def copy(to: str, config: str) -> None:
    """Copy the store into an empty PostgreSQL database; set store.url to it afterwards."""
    from trio2o.store import care

    settings = settings_of(config)
    if store_url(to) or not to.startswith("postgresql"):
        raise click.BadParameter("it must be postgresql+psycopg://...", param_hint="--to")
    with alone(settings):
        counts = care.copy(settings.store_url, to)
    show(("table", "rows"), [(name, str(rows)) for name, rows in sorted(counts.items())])
    click.echo(f"{sum(counts.values())} rows are in {care.shown(to)}; now set store.url to it")
