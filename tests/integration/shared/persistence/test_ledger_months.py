from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.ids import AttemptId
from shared.domain.ids_in_time import first_id_at
from shared.domain.ledger import LedgerEntry
from shared.persistence.migrate import upgrade
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.ledger_upkeep import PostgresLedgerUpkeep
from tests.support.chat_jobs import COST, HOLD, NOW, SetClock, change, ledger_entry, rows

_OTHER = "ledger_entries_other"


def _made_at(moment: datetime) -> LedgerEntry:
    entry = ledger_entry(occurred_at=moment)
    return replace(entry, id=AttemptId(first_id_at(moment) + entry.id[-20:]))


async def _book(engine: AsyncEngine, *entries: LedgerEntry) -> int:
    return (await PostgresLedger(engine, SetClock()).book(entries)).entries


async def _homes(engine: AsyncEngine) -> list[object]:
    found = await rows(engine, "SELECT tableoid::regclass::text FROM ledger_entries ORDER BY id")
    return [name for (name,) in found]


async def test_months_are_made_ahead_once(engine: AsyncEngine) -> None:
    upkeep = PostgresLedgerUpkeep(engine)
    november = datetime(2098, 11, 30, 23, 59, tzinfo=UTC)
    made = await upkeep.make_months(november)
    assert made == [
        "ledger_entries_y2098m11",
        "ledger_entries_y2098m12",
        "ledger_entries_y2099m01",
        "ledger_entries_y2099m02",
    ]
    assert await upkeep.make_months(november) == []
    await _book(engine, _made_at(november), _made_at(november + timedelta(minutes=1)))
    assert await _homes(engine) == made[:2]
    await change(engine, "DROP TABLE " + ", ".join(made))


async def test_this_month_has_a_partition_from_the_start(engine: AsyncEngine) -> None:
    await _book(engine, ledger_entry())
    (home,) = await _homes(engine)
    assert home != _OTHER


async def test_an_entry_of_a_month_without_partition_is_not_refused(engine: AsyncEngine) -> None:
    entry = _made_at(datetime(2097, 5, 6, tzinfo=UTC))
    assert await _book(engine, entry) == 1
    assert await _homes(engine) == [_OTHER]
    made = await PostgresLedgerUpkeep(engine).make_months(datetime(2097, 5, 7, tzinfo=UTC))
    assert "ledger_entries_y2097m05" not in made
    assert len(made) == 3
    assert await _book(engine, entry) == 0
    await change(engine, "DROP TABLE " + ", ".join(made))


async def test_a_repeat_with_another_time_is_a_repeat(engine: AsyncEngine) -> None:
    entry = ledger_entry()
    later = replace(entry, occurred_at=NOW + timedelta(days=40), cost_usd=COST * 2)
    assert await _book(engine, entry) == 1
    assert await _book(engine, later) == 0
    assert await rows(engine, "SELECT cost_usd FROM ledger_entries") == [(COST,)]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entries SET cost_usd = 0",
        "DELETE FROM ledger_entries",
        "TRUNCATE ledger_entries",
    ],
)
async def test_the_ledger_is_append_only(engine: AsyncEngine, statement: str) -> None:
    await _book(engine, ledger_entry())
    with pytest.raises(IntegrityError, match="append-only"):
        await change(engine, statement)
    assert await rows(engine, "SELECT cost_usd FROM ledger_entries") == [(COST,)]


async def test_a_correction_changes_money_and_counts_no_request(engine: AsyncEngine) -> None:
    assumed = replace(ledger_entry(), assumed=True, cost_usd=HOLD)
    correction = replace(
        assumed,
        id=AttemptId("cor_1_000001"),
        corrects=assumed.id,
        assumed=False,
        cost_usd=COST - HOLD,
        list_cost_usd=COST - HOLD,
        usage=replace(assumed.usage, input_tokens=0, output_tokens=0),
    )
    await _book(engine, assumed, correction)
    await _book(engine, correction)
    sums = "SELECT requests, cost_usd, input_tokens FROM usage_rollups"
    assert await rows(engine, sums) == [(1, COST, 10)]
    assert await rows(engine, "SELECT sum(requests) FROM latency_rollups") == [(1,)]
    assert await rows(engine, "SELECT spent_usd FROM budgets WHERE scope = 'global'") == [(COST,)]
    days = "SELECT entries, cost_usd, assumed, assumed_usd, corrections, corrections_usd"
    assert await rows(engine, f"{days} FROM ledger_days") == [(1, HOLD, 1, HOLD, 1, COST - HOLD)]


async def test_what_is_to_be_escaped_is_kept_as_it_is(engine: AsyncEngine) -> None:
    odd = 'a "quoted" \\ {brace}, null\nNULL\t\u00e9\u2028'
    await _book(engine, replace(ledger_entry(), model_answered=odd), ledger_entry())
    found = await rows(engine, "SELECT model_answered FROM ledger_entries ORDER BY model_answered")
    assert found == [(odd,), (None,)]


def test_the_migration_keeps_what_was_booked(empty_database_url: str) -> None:
    upgrade(empty_database_url, "0004")
    url = make_url(empty_database_url).set(drivername="postgresql+psycopg")
    engine = create_engine(url)
    old, new = "att_019a0000000011112222333344445555", "att_1"
    columns = (
        "id, job_id, user_id, key_id, tier, operation, provider, model, price_id, input_tokens,"
        " output_tokens, neurons, list_cost_usd, cost_usd, is_fallback, is_error, assumed,"
        " latency_ms, occurred_at"
    )
    values = "'j', 'u', 'k', 'free', 'chat', 'openai', 'm', 'p', 1, 2, 0, 3, 2, false, false"
    with engine.begin() as connection:
        for entry, assumed in ((old, "true"), (new, "false")):
            line = f"('{entry}', {values}, {assumed}, 5, '2025-10-22')"
            insert = f"INSERT INTO ledger_entries ({columns}) VALUES {line}"  # noqa: S608 - our own
            connection.execute(text(insert))
        connection.execute(
            text(
                "INSERT INTO usage_rollups VALUES ('2025-10-22', 'u', 'k', 'free', 'openai', 'm',"
                " 'chat', 2, 2, 4, 0, 4, 0, 0)"
            )
        )
    upgrade(empty_database_url)
    with engine.connect() as connection:
        kept = connection.execute(
            text("SELECT id, tableoid::regclass::text FROM ledger_entries ORDER BY id")
        )
        assert [tuple(row) for row in kept] == [(old, "ledger_entries_y2025m10"), (new, _OTHER)]
        rollup = "SELECT list_cost_usd, openai_only_usd, cost_usd FROM usage_rollups"
        assert [*connection.execute(text(rollup)).one()] == [6, 4, 4]
        days = "SELECT entries, cost_usd, assumed, assumed_usd FROM ledger_days"
        assert [*connection.execute(text(days)).one()] == [2, 4, 1, 2]
    engine.dispose()
