"""Alembic migrations, run by `sluiceway migrate`."""
