from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.catalog import OPENAI
from shared.domain.ids import AttemptId, UserId
from shared.domain.ids_in_time import first_id_at
from shared.domain.ledger import LedgerEntry
from shared.domain.usage import TokenUsage
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.reports import PostgresReports
from shared.ports.reports import LedgerFilter
from tests.support.chat_jobs import (
    COST,
    NOW,
    SetClock,
    change,
    ledger_entry,
    new_chat_job,
    of_user,
)

_TODAY = NOW.date()


async def _book(engine: AsyncEngine, *entries: LedgerEntry) -> None:
    await PostgresLedger(engine, SetClock()).book(entries)


async def test_usage_is_grouped_by_what_is_asked(engine: AsyncEngine) -> None:
    mine, other = ledger_entry(), ledger_entry(new_chat_job(of_user("user-2")))
    openai = replace(ledger_entry(), provider=OPENAI, is_fallback=True)
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


async def test_rows_from_a_cursor_are_the_same(engine: AsyncEngine) -> None:
    await _book(engine, *(ledger_entry(new_chat_job(of_user(f"user-{n}"))) for n in range(7)))
    reports = PostgresReports(engine)
    streamed = [row async for row in reports.usage_rows(["user", "day"], None, None)]
    assert streamed == await reports.usage(["user", "day"], None, None)
    assert len(streamed) == 7


async def test_the_ledger_is_read_by_user_and_by_job(engine: AsyncEngine) -> None:
    job = new_chat_job()
    mine = [ledger_entry(job), ledger_entry(job)]
    theirs = ledger_entry(new_chat_job(of_user("user-2")))
    await _book(engine, *mine, theirs)
    reports = PostgresReports(engine)
    wanted = LedgerFilter(user_id=UserId("user-2"))
    assert [one.id for one in await reports.ledger_page(None, 9, wanted)] == [theirs.id]
    assert await reports.ledger_page(None, 9, LedgerFilter(job_id=job.id)) == []
    await _attempts(engine, job.id, *mine)
    found = await reports.ledger_page(None, 9, LedgerFilter(job_id=job.id))
    assert [one.id for one in found] == sorted(one.id for one in mine)


async def test_a_days_entries_are_those_that_happened_on_it(engine: AsyncEngine) -> None:
    """Also the late ones: a dead worker's call is charged when it is found."""
    at_noon = _made_at(NOW)
    late = replace(_made_at(NOW - timedelta(days=9)), occurred_at=NOW, assumed=True)
    correction = replace(
        ledger_entry(), id=AttemptId("cor_1_000001"), occurred_at=NOW, corrects=late.id
    )
    before = _made_at(NOW - timedelta(days=1))
    await _book(engine, at_noon, late, correction, before)
    found = await PostgresReports(engine).ledger_page(None, 9, LedgerFilter(day=_TODAY))
    assert [one.id for one in found] == [late.id, at_noon.id, correction.id]


def _made_at(moment: datetime) -> LedgerEntry:
    entry = ledger_entry(occurred_at=moment)
    return replace(entry, id=AttemptId(first_id_at(moment) + entry.id[-20:]))


async def _attempts(engine: AsyncEngine, job_id: str, *entries: LedgerEntry) -> None:
    for entry in entries:
        await change(
            engine,
            "INSERT INTO attempts (id, job_id, number, worker, provider, model, price_id, outcome,"
            " is_fallback, started_at) VALUES (:id, :job, 1, 'w', 'openai', 'm', 'p', 'succeeded',"
            " false, now())",
            id=entry.id,
            job=job_id,
        )
