"""What a lost connection becomes, and what outlasts it."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.claims import Claimed
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.ids import JobId
from shared.persistence.connections import lost_to_company, statement, transaction
from shared.persistence.engine import answers, create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.jobs import PostgresJobs
from tests.support.chat_jobs import USER, claim_of, rows, settlement_of, submitted
from tests.support.proxy import proxy_to


async def test_a_database_out_of_reach_is_told_in_our_own_words(database_url: str) -> None:
    async with proxy_to(database_url) as proxy:
        engine = create_engine(proxy.url)
        assert await answers(engine)
        await proxy.cut()
        with pytest.raises(DatabaseUnavailableError):
            await answers(engine)
        with pytest.raises(DatabaseUnavailableError):
            await PostgresJobs(engine).get(JobId("job"), USER)
        await engine.dispose()


async def test_claims_and_settlements_outlast_an_outage(
    database_url: str, engine: AsyncEngine
) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    async with proxy_to(database_url) as proxy:
        away = create_engine(proxy.url)
        attempts = PostgresAttempts(away)
        await answers(away)
        await proxy.cut()
        claim = asyncio.create_task(attempts.claim(request))
        await asyncio.wait([claim], timeout=0.2)
        await proxy.open()
        assert isinstance(await claim, Claimed)
        await proxy.cut()
        settle = asyncio.create_task(attempts.settle(settlement_of(job, request)))
        await asyncio.wait([settle], timeout=0.2)
        await proxy.open()
        assert (await settle).applied
        await away.dispose()
    assert await rows(engine, "SELECT status FROM jobs") == [("succeeded",)]


async def test_an_outage_outlasts_patience(database_url: str, engine: AsyncEngine) -> None:
    job = await submitted(engine)
    async with proxy_to(database_url) as proxy:
        away = create_engine(proxy.url)
        await proxy.cut()
        with pytest.raises(DatabaseUnavailableError):
            await PostgresAttempts(away, timedelta(0)).claim(claim_of(job))
        await away.dispose()


async def test_a_deadlock_is_a_transient_error(engine: AsyncEngine) -> None:
    first, second = (await submitted(engine)).id, (await submitted(engine)).id
    met = asyncio.Barrier(2)
    lock = text("SELECT FROM jobs WHERE id = :id FOR UPDATE")

    async def lock_both(*ids: JobId) -> None:
        async with transaction(engine) as connection:
            await connection.execute(lock, {"id": ids[0]})
            await met.wait()
            await connection.execute(lock, {"id": ids[1]})

    outcomes = await asyncio.gather(
        lock_both(first, second), lock_both(second, first), return_exceptions=True
    )
    (error,) = (one for one in outcomes if one is not None)
    assert isinstance(error, DatabaseUnavailableError)
    assert lost_to_company(error)


async def test_a_transaction_that_raises_leaves_nothing(engine: AsyncEngine) -> None:
    job = await submitted(engine)

    async def change_and_raise() -> None:
        async with transaction(engine) as connection:
            await connection.execute(text("DELETE FROM jobs"))
            raise LookupError

    with pytest.raises(LookupError):
        await change_and_raise()
    async with statement(engine) as connection:
        assert (await connection.execute(text("SELECT id FROM jobs"))).scalar_one() == job.id
