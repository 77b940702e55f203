"""The tables, and bringing a database to them."""

from __future__ import annotations

import sqlalchemy as sa

REVISION = "0001"
"""The newest migration. It is compared at each start; Alembic is imported only if it differs."""

metadata = sa.MetaData()

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
    sa.Column("tenant_id", sa.String(255), nullable=False),
    sa.Column("pod_id", sa.String(36), nullable=False, index=True),
    sa.Column("az_name", sa.String(255), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("ended_at", sa.String(32), nullable=False, server_default=""),
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

keypairs = sa.Table(
    "keypairs",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("user_id", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("type", sa.String(16), nullable=False),
    sa.Column("public_key", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.String(255), nullable=False),
    sa.Column("created_at", sa.String(32), nullable=False),
    sa.Column("deleted_at", sa.String(32), nullable=False, server_default=""),
    sa.Column("version", sa.Integer, nullable=False),
    sa.UniqueConstraint("user_id", "name"),
    sqlite_autoincrement=True,
)

# which version of a definition a pod has; `problem` says why it has none
settled = sa.Table(
    "settled",
    metadata,
    sa.Column("kind", sa.String(32), primary_key=True),
    sa.Column("key", sa.String(512), primary_key=True),
    sa.Column("pod_id", sa.String(36), primary_key=True, index=True),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("problem", sa.String(255), nullable=False, server_default=""),
    sqlite_with_rowid=False,
)

server_groups = sa.Table(
    "server_groups",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("project_id", sa.String(255), nullable=False, index=True),
    sa.Column("user_id", sa.String(255), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("policy", sa.String(64), nullable=False),
    sa.Column("rules", sa.Text, nullable=False),
    sa.Column("deleted_at", sa.String(32), nullable=False, server_default=""),
    sqlite_autoincrement=True,
)

# a group's counterparts: pods choose their ids themselves
server_group_pods = sa.Table(
    "server_group_pods",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("pod_id", sa.String(36), primary_key=True, index=True),
    sa.Column("bottom_id", sa.String(36), nullable=False),
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


class NewerSchema(Exception):
    """The database was written by a newer Trio2o than this one."""


def upgrade(engine: sa.Engine) -> None:
    """Bring the database to this schema. Raises `NewerSchema`."""
    stored = ""
    with engine.connect() as connection:
        if sa.inspect(connection).has_table("alembic_version"):
            stored = (
                connection.execute(
                    sa.text("SELECT version_num FROM alembic_version")
                ).scalar_one_or_none()
                or ""
            )
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
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
