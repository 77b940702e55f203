"""The tables, and bringing a database to them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event

REVISION = "0001"
"""The newest migration. It is compared at each start; Alembic is imported only if it differs."""

metadata = sa.MetaData()

HELD = {"held": True}
"""`info` of a table that is small and held whole in memory: its revision moves with it."""


@event.listens_for(metadata, "before_create")
def compare_bytes(target: sa.MetaData, *_: Any, **__: Any) -> None:
    """Have PostgreSQL order texts as SQLite does, whatever the database's collation."""
    if target.info.get("bytewise"):
        return
    target.info["bytewise"] = True
    for column in (column for table in target.tables.values() for column in table.c):
        if isinstance(kind := column.type, sa.String):
            bytewise = type(kind)(kind.length, collation="C")
            column.type = kind.with_variant(bytewise, "postgresql")


pods = sa.Table(
    "pods",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("pod_id", sa.String(36), nullable=False, unique=True),
    sa.Column("pod_name", sa.String(255), nullable=False, unique=True),
    sa.Column("az_name", sa.String(255), nullable=False),
    sa.Column("pod_az_name", sa.String(255), nullable=False),
    sa.Column("dc_name", sa.String(255), nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("weight", sa.Float, nullable=False, server_default="1"),
    # JSON lists
    sa.Column("tags", sa.Text, nullable=False, server_default="[]"),
    sa.Column("zones", sa.Text, nullable=False, server_default="[]"),
    info=HELD,
    sqlite_autoincrement=True,
)
# there is one top region
sa.Index(
    "one_top_region",
    pods.c.az_name,
    unique=True,
    sqlite_where=pods.c.az_name == "",
    postgresql_where=pods.c.az_name == "",
)

bindings = sa.Table(
    "bindings",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("tenant_id", sa.String(255), nullable=False, index=True),
    sa.Column("pod_id", sa.String(36), nullable=False, index=True),
    sa.Column("az_name", sa.String(255), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("ended_at", sa.String(32), nullable=False, server_default=""),
    info=HELD,
)
# a project has one pod for an AZ at a time
sa.Index(
    "one_binding",
    bindings.c.tenant_id,
    bindings.c.az_name,
    unique=True,
    sqlite_where=bindings.c.ended_at == "",
    postgresql_where=bindings.c.ended_at == "",
)

routes = sa.Table(
    "routes",
    metadata,
    sa.Column("type", sa.String(32), primary_key=True),
    sa.Column("top_id", sa.String(255), primary_key=True),
    sa.Column("pod_id", sa.String(36), nullable=False),
    sa.Column("bottom_id", sa.String(255), nullable=False),
    sa.Column("project_id", sa.String(255), nullable=False),
    sa.Column("deleted_at", sa.String(32), nullable=False, server_default=""),
    # JSON: what is shown of the thing while its pod is down
    sa.Column("details", sa.Text, nullable=False, server_default=""),
    sqlite_with_rowid=False,
)
sa.Index("routes_of_project", routes.c.pod_id, routes.c.type, routes.c.project_id)

definitions = sa.Table(
    "definitions",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("key", sa.String(512), nullable=False),
    # the user or project whose it is, where it is not everybody's
    sa.Column("owner", sa.String(255), nullable=False, server_default=""),
    sa.Column("document", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    # the pod in which a change is being tried
    sa.Column("pending", sa.String(36), nullable=False, server_default=""),
    sa.Column("deleted_at", sa.String(32), nullable=False, server_default=""),
    sa.UniqueConstraint("kind", "key"),
    sa.Index("definitions_of_owner", "kind", "owner"),
    sqlite_autoincrement=True,
)

# which version of a definition a pod has, and under which id; `problem` says why it has none
settled = sa.Table(
    "settled",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("key", sa.String(512), primary_key=True),
    sa.Column("pod_id", sa.String(36), primary_key=True, index=True),
    sa.Column("bottom_id", sa.String(512), nullable=False, server_default=""),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("problem", sa.Text, nullable=False, server_default=""),
    info=HELD,
    sqlite_with_rowid=False,
)

# whose keypairs a pod was asked for: no API lists those of all users
keypair_users = sa.Table(
    "keypair_users",
    metadata,
    sa.Column("user_id", sa.String(255), primary_key=True),
    sa.Column("pod_id", sa.String(36), primary_key=True, index=True),
    sqlite_with_rowid=False,
)

# what a thing of the top Neutron is called in each pod that has it
counterparts = sa.Table(
    "counterparts",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("top_id", sa.String(255), primary_key=True),
    sa.Column("pod_id", sa.String(36), primary_key=True),
    sa.Column("bottom_id", sa.String(36), nullable=False, index=True),
    sqlite_with_rowid=False,
)
sa.Index("counterparts_of_pod", counterparts.c.pod_id, counterparts.c.kind)

# ports that are wanted in a pod, written before anything is made there
attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column("port_id", sa.String(36), primary_key=True),
    sa.Column("pod_id", sa.String(36), nullable=False, index=True),
    sa.Column("server_id", sa.String(255), nullable=False, index=True),
    sa.Column("claim", sa.String(64), nullable=False),
    sa.Column("ours", sa.Boolean, nullable=False),
    sa.Column("stage", sa.String(16), nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sqlite_with_rowid=False,
)

# AZ hints, which a Neutron without agents takes from nobody (JSON list)
network_hints = sa.Table(
    "network_hints",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("hints", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)

# the pod in which a subnet's gateway has the tenant's own address
homes = sa.Table(
    "homes",
    metadata,
    sa.Column("subnet_id", sa.String(36), primary_key=True),
    sa.Column("pod_id", sa.String(36), nullable=False, index=True),
    sqlite_with_rowid=False,
)


# of each table that is held in memory: moves in the transaction that changes the table
revisions = sa.Table(
    "revisions",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)

# which process runs the reconcilers; `expires` by the database's clock
lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.String(32), primary_key=True),
    sa.Column("holder", sa.String(255), nullable=False),
    sa.Column("epoch", sa.Integer, nullable=False),
    sa.Column("expires", sa.Double, nullable=False),
)

# passes that were asked for and made, anywhere; `report` is JSON
passes = sa.Table(
    "passes",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("made", sa.Integer, nullable=False),
    sa.Column("report", sa.Text, nullable=False),
    info=HELD,
)

# up to when a pod's changes were read, in seconds since 1970
sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("pod_id", sa.String(36), primary_key=True),
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("seen", sa.Double, nullable=False),
)


class NewerSchema(Exception):
    """The database was written by a newer Trio2o than this one."""


def stored_revision(engine: sa.Engine) -> str:
    """The revision of the schema that a database has ('' if it has none)."""
    with engine.connect() as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return ""
        found = connection.execute(sa.text("SELECT version_num FROM alembic_version"))
        return found.scalar_one_or_none() or ""


def upgrade(engine: sa.Engine) -> None:
    """Bring the database to this schema. Raises `NewerSchema`."""
    stored = stored_revision(engine)
    if stored == REVISION:
        return
    if stored > REVISION:
        raise NewerSchema(f"the store has schema {stored}, this Trio2o knows up to {REVISION}")
    _migrate(engine)


def _migrate(engine: sa.Engine) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "trio2o.store:migrations")
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="READ COMMITTED")
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":  # SQLite's writers wait for each other anyway
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(7241)"))
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
