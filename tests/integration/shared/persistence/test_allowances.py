"""The day's free neurons: taken by the settlement itself, exactly, whoever settles beside it."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.access import Caller
from shared.domain.outgoing import DelayedMessage
from shared.domain.pricing import NEURON_USD, DailyAllowance
from shared.domain.work import JobContinues, JobWaits, SettledJob, Settlement
from shared.messages.events import UsageRecorded
from shared.messages.frames import JobCompleted
from shared.persistence.direct import on_pooled
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.settling import settle_batch
from tests.support.allowed_jobs import allowance_of, allowed_settlement
from tests.support.chat_jobs import (
    NOW,
    WORKER,
    change,
    claim_of,
    claimed,
    further,
    new_chat_job,
    of_user,
    rows,
    submitted,
)

pytestmark = pytest.mark.integration
_USED = "SELECT allowance, day::text, used FROM allowance_days ORDER BY day"


async def _settled(
    engine: AsyncEngine, neurons: str, allowance: DailyAllowance | None, now: datetime = NOW
) -> SettledJob:
    job = await submitted(engine)
    request = claim_of(job, now=now)
    await claimed(engine, request)
    settlement = allowed_settlement(job, request, neurons, allowance)
    settled = await PostgresAttempts(engine).settle(settlement)
    assert settled.applied
    return settled


def _usage(settled: SettledJob) -> UsageRecorded:
    return UsageRecorded.model_validate_json(settled.outbox[0].message.body)


def _completed(settled: SettledJob) -> JobCompleted:
    assert settled.terminal_frame is not None
    return JobCompleted.model_validate_json(settled.terminal_frame)


def _paid(neurons: str) -> Decimal:
    return Decimal(neurons) * NEURON_USD


async def test_what_the_allowance_covers_is_paid_nowhere(engine: AsyncEngine) -> None:
    settled = await _settled(engine, "12.5199", allowance_of(100))
    usage = _usage(settled)
    assert (usage.cost_usd, usage.list_cost_usd) == (Decimal(0), _paid("12.5199"))
    assert _completed(settled).cost_usd == 0
    assert await rows(engine, "SELECT cost_usd FROM jobs") == [(0,)]
    assert await rows(engine, "SELECT cost_usd, neurons FROM attempts") == [(0, Decimal("12.5199"))]
    assert await rows(engine, "SELECT frame ->> 'cost_usd' FROM deliveries") == [("0",)]
    assert await rows(engine, _USED) == [("cloudflare/neurons", "2100-01-15", Decimal("12.5199"))]


async def test_only_what_lies_beyond_the_allowance_is_paid(engine: AsyncEngine) -> None:
    await _settled(engine, "60", allowance_of(100))
    settled = await _settled(engine, "60.5", allowance_of(100))
    usage = _usage(settled)
    assert (usage.cost_usd, usage.list_cost_usd) == (_paid("20.5"), _paid("60.5"))
    completed = _completed(settled)
    assert completed.cost_usd == _paid("20.5")
    assert completed.result == {"message": {"role": "assistant", "content": "Grüße: \u2713"}}
    assert completed.usage.neurons == Decimal("60.5")


async def test_the_relay_sends_what_was_committed(engine: AsyncEngine) -> None:
    settled = await _settled(engine, "12", allowance_of(10))
    found = await rows(engine, "SELECT id, body FROM outbox")
    stored = {int(str(outbox_id)): body for outbox_id, body in found}
    assert [stored[row.id] for row in settled.outbox] == [settled.outbox[0].message.body]
    ((frame,),) = await rows(engine, "SELECT CAST(frame AS text) FROM deliveries")
    assert settled.terminal_frame == str(frame).encode()


async def test_without_a_claim_nothing_is_counted_and_all_is_paid(engine: AsyncEngine) -> None:
    usage = _usage(await _settled(engine, "12", None))
    assert (usage.cost_usd, usage.list_cost_usd) == (_paid("12"), None)
    assert await rows(engine, _USED) == []


async def test_a_used_up_day_is_neither_counted_nor_waited_for(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    await _settled(engine, "100", allowance_of(100))
    async with second_engine.begin() as another:
        await another.execute(text("SELECT * FROM allowance_days FOR UPDATE"))
        async with asyncio.timeout(10):
            usage = _usage(await _settled(engine, "5", allowance_of(100)))
    assert usage.cost_usd == _paid("5")
    assert await rows(engine, "SELECT used FROM allowance_days") == [(100,)]


async def test_the_allowance_is_new_at_midnight_utc(engine: AsyncEngine) -> None:
    midnight = datetime(2100, 1, 16, tzinfo=UTC)
    before, after = midnight - timedelta(microseconds=1), midnight
    await _settled(engine, "100", allowance_of(100), before)
    late = _usage(await _settled(engine, "1", allowance_of(100), before))
    early = _usage(await _settled(engine, "1", allowance_of(100), after))
    assert (late.cost_usd, early.cost_usd) == (_paid("1"), Decimal(0))
    assert await rows(engine, "SELECT day::text, used FROM allowance_days ORDER BY day") == [
        ("2100-01-15", 100),
        ("2100-01-16", 1),
    ]


async def test_settling_twice_takes_once(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    settlement = allowed_settlement(job, request, "40", allowance_of(100))
    attempts = PostgresAttempts(engine)
    assert (await attempts.settle(settlement)).applied
    assert not (await attempts.settle(settlement)).applied
    assert await rows(engine, "SELECT used FROM allowance_days") == [(40,)]


async def test_a_lost_lease_takes_nothing(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    await change(engine, "UPDATE jobs SET lease_owner = 'another'")
    settlement = allowed_settlement(job, request, "40", allowance_of(100))
    assert not (await PostgresAttempts(engine).settle(settlement)).applied
    assert await rows(engine, _USED) == []


async def test_a_job_pays_for_each_attempt_what_the_attempt_paid(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    first = claim_of(job)
    await claimed(engine, first)
    attempts, allowance = PostgresAttempts(engine), allowance_of(10)
    await attempts.settle(allowed_settlement(job, first, "15", allowance, JobContinues()))
    second = further(first)
    so_far = (await claimed(engine, second)).cost_so_far_usd
    assert so_far == _paid("5")
    settled = await attempts.settle(
        allowed_settlement(job, second, "7", allowance, cost_so_far_usd=so_far)
    )
    assert _completed(settled).cost_usd == _paid("12")
    assert await rows(engine, "SELECT cost_usd FROM jobs") == [(_paid("12"),)]


async def test_a_command_that_brings_the_job_back_stays_as_it_is(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    settlement = allowed_settlement(job, request, "5", allowance_of(10), JobContinues())
    back = DelayedMessage(job.command)
    again = replace(settlement, step=JobWaits(), messages=[*settlement.messages, back])
    settled = await PostgresAttempts(engine).settle(again)
    assert settled.outbox[1].message == job.command


async def test_calls_of_one_batch_share_what_is_left_in_their_order(engine: AsyncEngine) -> None:
    settlements = [
        await _open(engine, of_user(f"user-{n}"), "6", allowance)
        for n, allowance in enumerate((allowance_of(10), None, allowance_of(10)))
    ]
    async with engine.begin() as connection:
        settled = await settle_batch(on_pooled(connection), settlements)
    costs = [_usage(job).cost_usd for job in settled]
    assert costs == [0, _paid("6"), _paid("2")]


async def test_concurrent_settlements_give_each_neuron_once(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    """Eight processes settle calls of 1.5 to 4.5 neurons; 100 of 180 are free."""
    processes = [PostgresAttempts(one) for one in (engine, second_engine) * 4]
    settlements = [
        await _open(
            engine, of_user(f"user-{n % 7}"), f"{n % 4 + 1}.5", allowance_of(100), f"worker-{n % 8}"
        )
        for n in range(60)
    ]
    settled = await asyncio.gather(
        *(processes[n % 8].settle(one) for n, one in enumerate(settlements))
    )
    usages = [_usage(job) for job in settled]
    assert all(0 <= usage.cost_usd <= _list_cost(usage) for usage in usages)
    assert sum(_list_cost(usage) for usage in usages) == _paid("180")
    assert sum(usage.cost_usd for usage in usages) == _paid("80")
    assert sum(0 < usage.cost_usd < _list_cost(usage) for usage in usages) <= 1
    assert await rows(engine, "SELECT sum(cost_usd) FROM attempts") == [(_paid("80"),)]


def _list_cost(usage: UsageRecorded) -> Decimal:
    return usage.cost_usd if usage.list_cost_usd is None else usage.list_cost_usd


async def _open(
    engine: AsyncEngine,
    caller: Caller,
    neurons: str,
    allowance: DailyAllowance | None,
    worker: str = WORKER,
) -> Settlement:
    """Claim a new job of a caller; return its settlement."""
    job = await submitted(engine, new_chat_job(caller))
    request = claim_of(job, worker)
    await claimed(engine, request)
    return allowed_settlement(job, request, neurons, allowance)
