"""Tells whether a database has the schema that this code needs, without the migration library."""

from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.persistence.connections import statement

_REVISIONS = Path(__file__).parents[2] / "migrations" / "versions"


def newest_revision() -> str:
    """Return the newest revision; their files are named `NNNN_what.py` after it."""
    return max(file.name.partition("_")[0] for file in _REVISIONS.glob("[0-9]*_*.py"))


async def is_migrated(engine: AsyncEngine) -> bool:
    """Tell whether the database is at the newest revision, or at one that is newer still.

    Raises:
        DatabaseUnavailableError: It does not answer, or is not there yet.
    """
    async with statement(engine) as connection:
        if await connection.scalar(text("SELECT to_regclass('alembic_version')")) is None:
            return False
        revision = await connection.scalar(text("SELECT max(version_num) FROM alembic_version"))
    return revision is not None and str(revision) >= newest_revision()
