"""One pool of connections per process."""

from sqlalchemy import make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from shared.persistence.connections import statement


def create_engine(database_url: str, pool_size: int = 8) -> AsyncEngine:
    """Return an engine over psycopg 3; connections are opened when first needed.

    Its connections commit each statement by itself; `connections` opens transactions.

    Args:
        database_url: `postgresql://…`; the driver is ours to choose.
        pool_size: The most connections this process holds.
    """
    url = make_url(database_url).set(drivername="postgresql+psycopg")
    return create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 5, "application_name": "sluiceway"},
    )


async def answers(engine: AsyncEngine) -> bool:
    """Tell whether the database answers.

    Raises:
        DatabaseUnavailableError: It does not.
    """
    async with statement(engine) as connection:
        await connection.execute(text("SELECT 1"))
    return True
