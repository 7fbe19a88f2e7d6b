"""Connections for one statement or for one transaction, with losses told in our own words."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from psycopg.errors import DeadlockDetected, SerializationFailure
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.errors import DatabaseUnavailableError


def lost_to_company(error: BaseException) -> bool:
    """Tell whether a statement was rolled back only because of what ran beside it."""
    cause = error.__cause__
    original = cause.orig if isinstance(cause, DBAPIError) else cause
    return isinstance(original, DeadlockDetected | SerializationFailure)


@asynccontextmanager
async def statement(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """Give a connection on which every statement commits by itself, in one round trip.

    The engine is one of `engine.create_engine`'s, whose connections are made that way.

    Raises:
        DatabaseUnavailableError: No connection, or it was lost; the commit may have happened.
    """
    async with _translated(), engine.connect() as connection:
        yield connection


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncGenerator[AsyncConnection]:
    """Give a connection whose statements commit together, or not at all when the block raises.

    Raises:
        DatabaseUnavailableError: No connection, or it was lost; the commit may have happened.
    """
    async with _translated(), engine.connect() as connection:
        await connection.execution_options(isolation_level="READ COMMITTED")
        async with connection.begin():
            yield connection


@asynccontextmanager
async def _translated() -> AsyncGenerator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeoutError, OSError) as error:
        raise DatabaseUnavailableError(
            f"the database did not answer: {type(error).__name__}"
        ) from error
