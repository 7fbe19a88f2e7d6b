from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.catalog import Provider
from shared.domain.ledger import LedgerEntry
from shared.domain.usage import TokenUsage
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.reports import PostgresReports
from shared.ports.money import Reconciliation
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    SetClock,
    change,
    claim_of,
    claimed,
    ledger_entry,
    new_chat_job,
    of_user,
    settlement_of,
    submitted,
)

_ALL_WELL = Reconciliation(0, 0, 0, 0, 0, 0, Decimal(0), Decimal(0))
_TODAY = NOW.date()


async def _book(engine: AsyncEngine, *entries: LedgerEntry) -> None:
    await PostgresLedger(engine, SetClock()).book(entries)


async def _booked_job(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    await PostgresAttempts(engine).settle(settlement_of(job, request))
    await _book(engine, ledger_entry(job, request))


async def test_usage_is_grouped_by_what_is_asked(engine: AsyncEngine) -> None:
    mine, other = ledger_entry(), ledger_entry(new_chat_job(of_user("user-2")))
    openai = replace(ledger_entry(), provider=Provider.OPENAI, is_fallback=True)
    await _book(engine, mine, other, openai)
    found = await PostgresReports(engine).usage(["user", "provider"], None, None)
    assert [(row.keys, row.requests, row.fallbacks, row.cost_usd) for row in found] == [
        ({"user": "user-1", "provider": "cloudflare"}, 1, 0, COST),
        ({"user": "user-1", "provider": "openai"}, 1, 1, COST),
        ({"user": "user-2", "provider": "cloudflare"}, 1, 0, COST),
    ]


async def test_usage_without_groups_is_one_row(engine: AsyncEngine) -> None:
    await _book(engine, ledger_entry(), ledger_entry())
    (row,) = await PostgresReports(engine).usage([], None, None)
    assert (row.keys, row.requests, row.input_tokens, row.output_tokens) == ({}, 2, 20, 10)
    assert (row.neurons, row.cost_usd, row.errors) == (Decimal(4), COST * 2, 0)


@pytest.mark.parametrize("group_by", [[], ["day"], ["user", "model"]])
async def test_no_usage_is_no_row(engine: AsyncEngine, group_by: list[str]) -> None:
    assert await PostgresReports(engine).usage(group_by, None, None) == []


async def test_usage_can_be_narrowed_to_days(engine: AsyncEngine) -> None:
    days = [ledger_entry(occurred_at=NOW - timedelta(days=n)) for n in range(4)]
    await _book(engine, *days)
    first, last = _TODAY - timedelta(days=2), _TODAY - timedelta(days=1)
    found = await PostgresReports(engine).usage(["day"], first, last)
    assert [row.keys for row in found] == [{"day": str(first)}, {"day": str(last)}]


async def test_an_unknown_group_is_refused(engine: AsyncEngine) -> None:
    with pytest.raises(KeyError):
        await PostgresReports(engine).usage(["secret_hash"], None, None)


async def test_percentiles_are_right_to_a_tenth(engine: AsyncEngine) -> None:
    await _book(engine, *(replace(ledger_entry(), latency_ms=n * 10) for n in range(1, 101)))
    (row,) = await PostgresReports(engine).usage(["provider"], None, None)
    assert row.p50_ms == pytest.approx(500, rel=0.11)
    assert row.p95_ms == pytest.approx(950, rel=0.11)
    assert row.p99_ms == pytest.approx(990, rel=0.11)


async def test_an_instant_answer_has_percentiles(engine: AsyncEngine) -> None:
    await _book(engine, replace(ledger_entry(), latency_ms=0))
    (row,) = await PostgresReports(engine).usage([], None, None)
    assert row.p50_ms == row.p99_ms == 1


async def test_the_ledger_is_read_page_by_page(engine: AsyncEngine) -> None:
    usage = TokenUsage(10, 5, Decimal("1.9"), 4, 3, "flex")
    told_more = replace(ledger_entry(), usage=usage, provider_request_id="ray-1")
    entries = sorted([told_more, *(ledger_entry() for _ in range(4))], key=lambda entry: entry.id)
    await _book(engine, *reversed(entries))
    reports = PostgresReports(engine)
    first = await reports.ledger_page(None, 2)
    second = await reports.ledger_page(first[-1].id, 9)
    assert [*first, *second] == [replace(entry, hold_usd=Decimal(0)) for entry in entries]


async def test_all_is_well_when_every_attempt_is_booked(engine: AsyncEngine) -> None:
    for _ in range(3):
        await _booked_job(engine)
    assert await PostgresReports(engine).reconciliation() == _ALL_WELL


async def test_an_attempt_without_entry_shows(engine: AsyncEngine) -> None:
    await _booked_job(engine)
    await change(engine, "DELETE FROM ledger_entries")
    expected = replace(_ALL_WELL, attempts_without_ledger=1, drift_usd=COST)
    assert await PostgresReports(engine).reconciliation() == expected


async def test_an_entry_without_attempt_shows(engine: AsyncEngine) -> None:
    await _book(engine, ledger_entry())
    expected = replace(_ALL_WELL, ledger_without_attempt=1, drift_usd=-COST)
    assert await PostgresReports(engine).reconciliation() == expected


async def test_a_call_under_way_shows_as_an_open_hold(engine: AsyncEngine) -> None:
    await claimed(engine, claim_of(await submitted(engine)))
    assert await PostgresReports(engine).reconciliation() == replace(_ALL_WELL, open_holds=1)


async def test_a_call_whose_lease_ended_shows_as_an_expired_hold(engine: AsyncEngine) -> None:
    await claimed(engine, claim_of(await submitted(engine)))
    await change(engine, "UPDATE jobs SET lease_until = now() - interval '1 s'")
    assert await PostgresReports(engine).reconciliation() == replace(_ALL_WELL, expired_holds=1)


async def test_an_attempt_left_open_by_its_job_shows_as_an_expired_hold(
    engine: AsyncEngine,
) -> None:
    await claimed(engine, claim_of(await submitted(engine)))
    await change(engine, "UPDATE jobs SET status = 'succeeded', lease_until = NULL")
    assert await PostgresReports(engine).reconciliation() == replace(_ALL_WELL, expired_holds=1)


async def test_assumed_costs_show(engine: AsyncEngine) -> None:
    await _booked_job(engine)
    await change(engine, "UPDATE ledger_entries SET assumed = true, cost_usd = :usd", usd=HOLD)
    expected = replace(_ALL_WELL, assumed_count=1, assumed_cost_usd=HOLD, drift_usd=COST - HOLD)
    assert await PostgresReports(engine).reconciliation() == expected
