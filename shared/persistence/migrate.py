"""Brings a database to the current schema."""

from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine, make_url, text

_SCRIPTS = Path(__file__).parents[2] / "migrations"
_LOCK = 7_305_113
"""An advisory lock, so that two migrations started together run one after the other."""


def upgrade(database_url: str, revision: str = "head") -> None:
    """Migrate up to `revision`; a database that is there already is left alone."""
    _run(database_url, lambda config: command.upgrade(config, revision))


def downgrade(database_url: str, revision: str) -> None:
    """Migrate down to `revision`; data of later revisions is lost."""
    _run(database_url, lambda config: command.downgrade(config, revision))


def _run(database_url: str, migrate: Callable[[Config], None]) -> None:
    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS))
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            config.attributes["connection"] = connection
            migrate(config)
    finally:
        engine.dispose()
