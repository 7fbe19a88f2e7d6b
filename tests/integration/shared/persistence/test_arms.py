"""The arm of a call, from its claim to the sums by arm."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine

from services.cost_aggregator.use_cases.book_usage import BookUsage
from services.cost_aggregator.use_cases.sweep_leases import SweepLeases
from shared.domain.catalog import OPENAI, Operation, Tier
from shared.domain.claims import ClaimRequest
from shared.domain.ids import AttemptId
from shared.domain.ledger import LedgerEntry
from shared.domain.rollout import Arm
from shared.messages.events import UsageRecorded
from shared.persistence.migrate import downgrade, upgrade
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.jobs import PostgresJobs
from shared.persistence.repositories.leases import PostgresLeases
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.reports import PostgresReports
from shared.ports.reports import UsageRow
from shared.system import RandomIds
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    USER,
    SetClock,
    change,
    claim_of,
    claimed,
    ledger_entry,
    new_chat_job,
    of_user,
    rows,
    settlement_of,
    submitted,
)
from tests.support.fakes_of_operations import CountingHint
from tests.support.fakes_of_work import RecordingRelay

_INSIDE, _OUTSIDE = Arm("cloudflare:inside"), Arm("cloudflare:outside")
_TODAY = NOW.date()
_FREE = [(Tier.FREE, Operation.CHAT)]


async def _book(engine: AsyncEngine, *entries: LedgerEntry) -> None:
    await PostgresLedger(engine, SetClock()).book(entries)


async def _claimed(engine: AsyncEngine, arm: Arm | None) -> ClaimRequest:
    job = await submitted(engine)
    request = replace(claim_of(job), arm=arm)
    await claimed(engine, request)
    return request


def _entry(arm: Arm | None, user: str = "user-1", tier: Tier = Tier.FREE) -> LedgerEntry:
    return replace(ledger_entry(new_chat_job(of_user(user, tier))), arm=arm)


@pytest.mark.parametrize("arm", [_INSIDE, _OUTSIDE, None])
async def test_the_claim_writes_the_arm_and_the_owner_sees_it(
    engine: AsyncEngine, arm: Arm | None
) -> None:
    request = await _claimed(engine, arm)
    view = await PostgresJobs(engine).get(request.job_id, USER)
    assert view is not None
    assert [attempt.arm for attempt in view.attempts] == [arm]


async def test_each_attempt_of_a_batch_has_its_own_arm(engine: AsyncEngine) -> None:
    requests = [await _claimed(engine, arm) for arm in (_INSIDE, None, _OUTSIDE)]
    found = await rows(engine, "SELECT id, arm FROM attempts ORDER BY id")
    assert found == sorted((one.attempt_id, one.arm) for one in requests)


async def test_a_settled_calls_arm_arrives_in_the_ledger(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = replace(claim_of(job), arm=_INSIDE)
    await claimed(engine, request)
    settled = await PostgresAttempts(engine).settle(settlement_of(job, request))
    event = UsageRecorded.model_validate_json(settled.outbox[0].message.body)
    await BookUsage(PostgresLedger(engine, SetClock()), CountingHint())([event])
    (entry,) = await PostgresReports(engine).ledger_page(None, 10)
    assert (entry.id, entry.arm) == (request.attempt_id, _INSIDE)


async def test_a_dead_workers_call_keeps_its_arm(engine: AsyncEngine) -> None:
    await _claimed(engine, _OUTSIDE)
    await change(engine, "UPDATE jobs SET lease_until = now() - interval '1 s'")
    relay = RecordingRelay()
    await SweepLeases(PostgresLeases(engine), relay, SetClock(), RandomIds())()
    (event,) = (
        UsageRecorded.model_validate_json(row.message.body)
        for row in relay.rows
        if row.message.exchange == "events"
    )
    await BookUsage(PostgresLedger(engine, SetClock()), CountingHint())([event])
    (row,) = await PostgresReports(engine).usage(["arm"], None, None)
    assert await rows(engine, "SELECT outcome, arm FROM attempts") == [("unknown", _OUTSIDE)]
    assert (row.keys, row.requests, row.errors, row.cost_usd) == ({"arm": _OUTSIDE}, 1, 1, HOLD)


async def test_usage_is_summed_by_arm(engine: AsyncEngine) -> None:
    failed = replace(_entry(_INSIDE), is_error=True, latency_ms=1000, cost_usd=Decimal(0))
    fallback = replace(_entry(_INSIDE), is_fallback=True, provider=OPENAI, latency_ms=100)
    await _book(engine, _entry(_INSIDE), failed, fallback, _entry(_OUTSIDE), _entry(None))
    found = {
        row.keys["arm"]: row for row in await PostgresReports(engine).usage(["arm"], None, None)
    }
    inside = found[_INSIDE]
    assert (inside.requests, inside.fallbacks, inside.errors) == (3, 1, 1)
    assert inside.cost_usd == COST * 2
    assert inside.p50_ms == pytest.approx(100, rel=0.1)
    assert inside.p95_ms == pytest.approx(1000, rel=0.1)
    assert {arm: row.requests for arm, row in found.items()} == {_INSIDE: 3, _OUTSIDE: 1, "": 1}


async def test_arms_combine_with_other_keys(engine: AsyncEngine) -> None:
    await _book(engine, _entry(_INSIDE), _entry(_INSIDE, "user-2"), _entry(_OUTSIDE, "user-2"))
    found = await PostgresReports(engine).usage(["user", "arm"], None, None)
    assert [(row.keys["user"], row.keys["arm"], row.requests) for row in found] == [
        ("user-1", _INSIDE, 1),
        ("user-2", _INSIDE, 1),
        ("user-2", _OUTSIDE, 1),
    ]


async def test_events_that_come_twice_count_once_by_arm(engine: AsyncEngine) -> None:
    entry = _entry(_INSIDE)
    await _book(engine, entry)
    await _book(engine, entry, _entry(_INSIDE))
    (row,) = await PostgresReports(engine).usage(["arm"], None, None)
    assert row.requests == 2


async def test_a_correction_corrects_its_arm(engine: AsyncEngine) -> None:
    assumed = replace(_entry(_OUTSIDE), assumed=True, cost_usd=HOLD)
    correction = replace(
        assumed, id=AttemptId("cor_1"), corrects=assumed.id, assumed=False, cost_usd=COST - HOLD
    )
    await _book(engine, assumed, correction)
    (row,) = await PostgresReports(engine).usage(["arm"], None, None)
    assert (row.keys["arm"], row.requests, row.cost_usd) == (_OUTSIDE, 1, COST)


async def test_arms_are_compared_by_day_over_the_routes_that_matter(engine: AsyncEngine) -> None:
    yesterday = replace(_entry(_INSIDE), occurred_at=NOW - timedelta(days=1), latency_ms=50)
    elsewhere = replace(_entry(_INSIDE), operation=Operation.EMBED, latency_ms=9000)
    await _book(
        engine,
        yesterday,
        replace(yesterday, id=AttemptId("old"), occurred_at=NOW - timedelta(days=2)),
        _entry(_INSIDE),
        _entry(_OUTSIDE),
        _entry(_INSIDE, tier=Tier.PAID),
        elsewhere,
    )
    found = await PostgresReports(engine).usage_by_arm(_FREE, _TODAY - timedelta(days=1), _TODAY)

    def seen(row: UsageRow) -> tuple[Mapping[str, str], int, int | None]:
        return row.keys, row.requests, row.p95_ms

    assert [seen(row) for row in found] == [
        ({"day": f"{_TODAY - timedelta(days=1)}", "arm": _INSIDE}, 1, 55),
        ({"day": f"{_TODAY}", "arm": _INSIDE}, 1, 7),
        ({"day": f"{_TODAY}", "arm": _OUTSIDE}, 1, 7),
    ]
    assert [*await PostgresReports(engine).usage_by_arm([], _TODAY, _TODAY)] == []


async def test_sums_by_arm_read_rollups_alone(engine: AsyncEngine) -> None:
    await _book(engine, _entry(_INSIDE))
    await change(engine, "ALTER TABLE ledger_entries DISABLE TRIGGER append_only_whole")
    await change(engine, "TRUNCATE ledger_entries")
    await change(engine, "ALTER TABLE ledger_entries ENABLE TRIGGER append_only_whole")
    (row,) = await PostgresReports(engine).usage(["arm"], None, None)
    assert row.requests == 1


def test_undoing_the_migration_adds_the_arms_up(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    url = make_url(empty_database_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    keys = "day, user_id, key_id, tier, provider, model, operation, arm"
    of_user = "'2026-11-25', 'u', 'k', 'free', 'openai', 'm', 'chat'"
    sums = "requests, input_tokens, output_tokens, neurons, cost_usd, fallbacks, errors"
    with engine.begin() as connection:
        for arm, cost in ((_INSIDE, 3), (_OUTSIDE, 4)):
            usage = f"({keys}, {sums}) VALUES ({of_user}, '{arm}', 1, 2, 3, 0, {cost}, 1, 0)"
            latency = f"({keys}, bucket, requests) VALUES ({of_user}, '{arm}', 20, {cost})"
            connection.execute(text(f"INSERT INTO usage_rollups {usage}"))
            connection.execute(text(f"INSERT INTO latency_rollups {latency}"))
    downgrade(empty_database_url, "0008")
    with engine.connect() as connection:
        usage = "SELECT requests, input_tokens, cost_usd, fallbacks FROM usage_rollups"
        assert [tuple(row) for row in connection.execute(text(usage))] == [(2, 4, 7, 2)]
        latencies = connection.execute(text("SELECT bucket, requests FROM latency_rollups"))
        assert [tuple(row) for row in latencies] == [(20, 7)]
    upgrade(empty_database_url)
    with engine.connect() as connection:
        arms = connection.execute(text("SELECT arm, requests FROM usage_rollups"))
        assert [tuple(row) for row in arms] == [("", 2)]
    engine.dispose()
