"""The ledger page by page, and how its rows become entries."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.catalog import Operation, Provider, Tier
from shared.domain.ids import AttemptId, JobId, KeyId, UserId
from shared.domain.ids_in_time import first_id_at
from shared.domain.ledger import LedgerEntry
from shared.domain.usage import TokenUsage
from shared.persistence.connections import statement
from shared.ports.reports import LedgerFilter

_LONGEST_CALL = timedelta(hours=2)
"""A call that ended on a day began so long before it at most, unless its worker died."""
_AFTER = "(CAST(:after AS text) IS NULL OR id > :after)"
_OF_USER = " AND user_id = :user_id"
_OF_JOB = """ AND (id = ANY(ARRAY(SELECT id FROM attempts WHERE job_id = :job_id))
    OR corrects = ANY(ARRAY(SELECT id FROM attempts WHERE job_id = :job_id)))"""
_ON_DAY = " AND occurred_at >= :day_start AND occurred_at < :day_end"
# Of a day's entries only those of dead workers and corrections are not near its ids.
_NEAR_DAY = " AND id >= :first_id AND id < :last_id"
_FAR_FROM_DAY = " AND NOT (id >= :first_id AND id < :last_id)"


async def ledger_page(
    engine: AsyncEngine, after: AttemptId | None, limit: int, wanted: LedgerFilter
) -> Sequence[LedgerEntry]:
    """Return the wanted entries with ids greater than `after`, in order of id."""
    parameters = {"after": after, "limit": limit, **_parameters(wanted)}
    async with statement(engine) as connection:
        rows = await connection.execute(text(_page_sql(wanted)), parameters)
        return [ledger_entry(row) for row in rows.mappings()]


def _page_sql(wanted: LedgerFilter) -> str:
    where = _AFTER
    if wanted.user_id is not None:
        where += _OF_USER
    if wanted.job_id is not None:
        where += _OF_JOB
    if wanted.day is None:
        return _select(where)
    where += _ON_DAY
    parts = (
        where + _NEAR_DAY,
        where + _FAR_FROM_DAY + " AND assumed",
        where + _FAR_FROM_DAY + " AND NOT assumed AND corrects IS NOT NULL",
    )
    union = " UNION ALL ".join(f"({_select(part)})" for part in parts)
    return f"{union} ORDER BY id LIMIT :limit"


def _select(where: str) -> str:
    return f"SELECT * FROM ledger_entries WHERE {where} ORDER BY id LIMIT :limit"  # noqa: S608 - only the conditions above are put in


def _parameters(wanted: LedgerFilter) -> Mapping[str, object]:
    parameters: dict[str, object] = {}
    if wanted.user_id is not None:
        parameters["user_id"] = wanted.user_id
    if wanted.job_id is not None:
        parameters["job_id"] = wanted.job_id
    if wanted.day is not None:
        start = datetime.combine(wanted.day, time(), UTC)
        end = start + timedelta(days=1)
        parameters |= {
            "day_start": start,
            "day_end": end,
            "first_id": first_id_at(start - _LONGEST_CALL),
            "last_id": first_id_at(end),
        }
    return parameters


def ledger_entry(row: RowMapping) -> LedgerEntry:
    """Read a row of the ledger; what was held is not kept there."""
    return LedgerEntry(
        id=AttemptId(row["id"]),
        job_id=JobId(row["job_id"]),
        user_id=UserId(row["user_id"]),
        key_id=KeyId(row["key_id"]),
        tier=Tier(row["tier"]),
        operation=Operation(row["operation"]),
        provider=Provider(row["provider"]),
        model=row["model"],
        model_answered=row["model_answered"],
        price_id=row["price_id"],
        usage=_token_usage(row),
        neurons=row["neurons"],
        list_cost_usd=row["list_cost_usd"],
        cost_usd=row["cost_usd"],
        hold_usd=Decimal(0),
        is_fallback=row["is_fallback"],
        is_error=row["is_error"],
        assumed=row["assumed"],
        latency_ms=row["latency_ms"],
        occurred_at=row["occurred_at"],
        provider_request_id=row["provider_request_id"],
        corrects=row["corrects"],
        arm=row["arm"],
    )


def _token_usage(row: RowMapping) -> TokenUsage:
    return TokenUsage(
        row["input_tokens"],
        row["output_tokens"],
        row["neurons_reported"],
        cached_tokens=row["cached_tokens"],
        cache_write_tokens=row["cache_write_tokens"],
        service_tier=row["service_tier"],
    )
