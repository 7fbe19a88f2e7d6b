"""Statements that go straight to the driver, on a connection that is theirs."""

import asyncio

import pytest
from psycopg.errors import UndefinedTable
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.errors import DatabaseUnavailableError
from shared.persistence.connections import transaction
from shared.persistence.direct import DirectConnection, HotStatement, on_pooled
from tests.support.chat_jobs import rows
from tests.support.waiting import wait_until

pytestmark = pytest.mark.integration
_BACKEND = HotStatement.of("SELECT pg_backend_pid() AS pid")
_SUM = HotStatement.of("SELECT CAST(:a AS integer) + CAST(:b AS integer) - CAST(:a AS int4) AS sum")


def test_a_parameter_is_numbered_once_and_a_cast_is_none() -> None:
    statement = HotStatement.of("SELECT :b, :a, :b, '2'::int, 'user:x'")
    assert statement.names == ["b", "a"]
    assert statement.driver_sql == b"SELECT $1, $2, $1, '2'::int, 'user:x'"


async def test_a_statement_gives_the_same_on_both_kinds_of_connection(engine: AsyncEngine) -> None:
    values = {"a": 2, "b": 3}
    [direct] = await DirectConnection(engine).execute(_SUM, values)
    async with transaction(engine) as connection:
        [pooled] = await on_pooled(connection)(_SUM, values)
    assert direct["sum"] == pooled["sum"] == 3


async def test_callers_share_one_connection_from_the_first_statement_on(
    engine: AsyncEngine,
) -> None:
    direct = DirectConnection(engine)
    found = await asyncio.gather(*(direct.execute(_BACKEND, {}) for _ in range(8)))
    assert len({row["pid"] for (row,) in found}) == 1


async def test_a_lost_connection_is_told_and_made_anew(engine: AsyncEngine) -> None:
    direct = DirectConnection(engine)
    [before] = await direct.execute(_BACKEND, {})
    await rows(engine, f"SELECT pg_terminate_backend({before['pid']})")
    with pytest.raises(DatabaseUnavailableError):
        await direct.execute(_BACKEND, {})
    [after] = await direct.execute(_BACKEND, {})
    assert after["pid"] != before["pid"]


async def test_an_error_of_the_statement_leaves_the_connection_usable(engine: AsyncEngine) -> None:
    direct = DirectConnection(engine)
    [before] = await direct.execute(_BACKEND, {})
    with pytest.raises(UndefinedTable):
        await direct.execute(HotStatement.of("SELECT 1 FROM nowhere"), {})
    assert await direct.execute(_BACKEND, {}) == [before]


async def test_a_connection_is_closed_with_its_engine(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    direct = DirectConnection(engine)
    [row] = await direct.execute(_BACKEND, {})
    await engine.dispose()

    async def is_gone() -> bool:
        return (row["pid"],) not in await rows(second_engine, "SELECT pid FROM pg_stat_activity")

    await wait_until(is_gone)


async def test_plans_look_rows_up_by_key_while_tables_are_small(engine: AsyncEngine) -> None:
    plan = HotStatement.of("EXPLAIN SELECT 1 FROM jobs WHERE id = ANY(ARRAY['job_1', 'job_2'])")
    lines = [row["QUERY PLAN"] for row in await DirectConnection(engine).execute(plan, {})]
    assert not any("Seq Scan" in line for line in lines), lines
