"""The base: all tables. Rewritten freely until the first release."""

from alembic import op

from trio2o.store._schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    metadata.create_all(op.get_bind())


def downgrade() -> None:
    metadata.drop_all(op.get_bind())
