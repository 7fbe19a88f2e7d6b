"""Runs migrations on the connection that `shared.persistence.migrate` provides."""

from alembic import context
from sqlalchemy import Connection

from shared.persistence.models import METADATA

connection = context.config.attributes["connection"]
if not isinstance(connection, Connection):
    raise TypeError("run migrations with `sluiceway migrate`")
context.configure(connection=connection, target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
