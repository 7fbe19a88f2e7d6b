from collections.abc import AsyncGenerator, Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.persistence.engine import create_engine
from tests.support.servers import fresh_database

_SEEDED = ("alembic_version", "embedding_spaces", "tiers")
_CHANGED_BY_TESTS = ("queue_control", "budgets", "reconciliation_watermark")


@pytest.fixture(scope="session")
def emptied_database_url(database_server_url: str, migrated_template: str) -> Iterator[str]:
    """One migrated database for this folder: emptying it is faster than making another."""
    with fresh_database(database_server_url, migrated_template) as address:
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute("CREATE SCHEMA seed")
            for name in _CHANGED_BY_TESTS:
                table = sql.Identifier(name)
                connection.execute(
                    sql.SQL("CREATE TABLE seed.{0} AS TABLE public.{0}").format(table)
                )
        yield address


@pytest.fixture
def database_url(emptied_database_url: str) -> str:
    """Give the database as the migrations leave it."""
    with psycopg.connect(emptied_database_url) as connection:
        found = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition AND relname <> ALL(%s)",
            [[*_SEEDED]],
        )
        tables = sql.SQL(", ").join(sql.Identifier(name) for (name,) in found)
        connection.execute("SET session_replication_role = replica")  # the ledger refuses it else
        connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(tables))
        for name in _CHANGED_BY_TESTS:
            table = sql.Identifier(name)
            connection.execute(sql.SQL("INSERT INTO {0} SELECT * FROM seed.{0}").format(table))
    return emptied_database_url


@pytest.fixture
async def engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """An engine on an otherwise empty migrated database."""
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def second_engine(database_url: str) -> AsyncGenerator[AsyncEngine]:
    """The same database as another process sees it."""
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()
