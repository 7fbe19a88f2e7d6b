"""What ops read: sums from rollups, ledger pages, and the proof that money adds up."""

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.catalog import Operation, Provider, Tier
from shared.domain.ids import AttemptId, JobId, KeyId, UserId
from shared.domain.ledger import LedgerEntry
from shared.domain.usage import TokenUsage
from shared.persistence.connections import statement
from shared.ports.money import Reconciliation, UsageRow

_COLUMN_BY_KEY = {
    "user": "user_id",
    "key": "key_id",
    "tier": "tier",
    "provider": "provider",
    "model": "model",
    "operation": "operation",
    "day": "day",
}
_WITHIN = """(CAST(:first AS date) IS NULL OR day >= :first)
    AND (CAST(:last AS date) IS NULL OR day <= :last)"""
_LEDGER_PAGE = text("""
    SELECT * FROM ledger_entries
    WHERE CAST(:after AS text) IS NULL OR id > :after ORDER BY id LIMIT :limit
""")
_RECONCILIATION = text("""
    SELECT
        (SELECT count(*) FROM attempts a WHERE a.outcome <> 'running'
            AND NOT EXISTS (SELECT FROM ledger_entries l WHERE l.id = a.id))
            AS attempts_without_ledger,
        (SELECT count(*) FROM ledger_entries l WHERE l.corrects IS NULL
            AND NOT EXISTS (SELECT FROM attempts a WHERE a.id = l.id)) AS ledger_without_attempt,
        (SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM ledger_entries
            WHERE corrects IS NULL GROUP BY id HAVING count(*) > 1) d) AS duplicate_entries,
        (SELECT count(*) FROM attempts a JOIN jobs j ON j.id = a.job_id
            WHERE a.outcome = 'running' AND j.lease_until >= now()) AS open_holds,
        (SELECT count(*) FROM attempts a LEFT JOIN jobs j ON j.id = a.job_id
            WHERE a.outcome = 'running' AND (j.lease_until IS NULL OR j.lease_until < now()))
            AS expired_holds,
        (SELECT count(*) FROM ledger_entries WHERE assumed) AS assumed_count,
        (SELECT coalesce(sum(cost_usd), 0) FROM ledger_entries WHERE assumed) AS assumed_cost_usd,
        (SELECT coalesce(sum(cost_usd), 0) FROM attempts WHERE outcome <> 'running')
            - (SELECT coalesce(sum(cost_usd), 0) FROM ledger_entries) AS drift_usd
""")


class PostgresReports:
    """Implements `Reports`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def usage(
        self, group_by: Sequence[str], first: date | None, last: date | None
    ) -> Sequence[UsageRow]:
        """Return sums by the given keys, in their order.

        Raises:
            KeyError: A key is none of `user key tier provider model operation day`.
        """
        columns = [_COLUMN_BY_KEY[key] for key in group_by]
        within = {"first": first, "last": last}
        async with statement(self._engine) as connection:
            sums = (await connection.execute(text(_usage_sql(columns)), within)).mappings().all()
            times = (await connection.execute(text(_latency_sql(columns)), within)).mappings().all()
        latencies = {_group(row, columns): row for row in times}
        return [
            _usage_row(
                {key: str(row[column]) for key, column in zip(group_by, columns, strict=True)},
                row,
                latencies[_group(row, columns)],
            )
            for row in sums
        ]

    async def ledger_page(self, after: AttemptId | None, limit: int) -> Sequence[LedgerEntry]:
        """Return entries with ids greater than `after`, in order of id."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_LEDGER_PAGE, {"after": after, "limit": limit})
            return [_ledger_entry(row) for row in rows.mappings()]

    async def reconciliation(self) -> Reconciliation:
        """Compare attempts with the ledger, in one snapshot."""
        async with statement(self._engine) as connection:
            row = (await connection.execute(_RECONCILIATION)).mappings().one()
        return Reconciliation(**row)


def _usage_sql(columns: Sequence[str]) -> str:
    keys = "".join(f"{column}, " for column in columns)
    return f"""
        SELECT {keys} sum(requests) AS requests, sum(input_tokens) AS input_tokens,
            sum(output_tokens) AS output_tokens, sum(neurons) AS neurons,
            sum(cost_usd) AS cost_usd, sum(fallbacks) AS fallbacks, sum(errors) AS errors
        FROM usage_rollups WHERE {_WITHIN} {_grouped(columns)}
    """  # noqa: S608 - column names come from the table above


def _latency_sql(columns: Sequence[str]) -> str:
    keys = "".join(f"{column}, " for column in columns)
    over = f"PARTITION BY {', '.join(columns)}" if columns else ""
    return f"""
        WITH counted AS (
            SELECT {keys} bucket, sum(requests) AS requests
            FROM latency_rollups WHERE {_WITHIN} GROUP BY {keys} bucket
        ),
        ranked AS (
            SELECT {keys} bucket, sum(requests) OVER ({over} ORDER BY bucket) AS below,
                sum(requests) OVER ({over}) AS total
            FROM counted
        )
        SELECT {keys} min(bucket) FILTER (WHERE below >= 0.5 * total) AS p50,
            min(bucket) FILTER (WHERE below >= 0.95 * total) AS p95,
            min(bucket) FILTER (WHERE below >= 0.99 * total) AS p99
        FROM ranked {_grouped(columns)}
    """  # noqa: S608 - as above


def _grouped(columns: Sequence[str]) -> str:
    if not columns:
        return "HAVING count(*) > 0"
    return f"GROUP BY {', '.join(columns)} ORDER BY {', '.join(columns)}"


def _group(row: RowMapping, columns: Sequence[str]) -> tuple[object, ...]:
    return tuple(row[column] for column in columns)


def _usage_row(keys: Mapping[str, str], row: RowMapping, latency: RowMapping) -> UsageRow:
    return UsageRow(
        keys=keys,
        requests=int(row["requests"]),
        input_tokens=int(row["input_tokens"]),
        output_tokens=int(row["output_tokens"]),
        neurons=row["neurons"],
        cost_usd=row["cost_usd"],
        fallbacks=int(row["fallbacks"]),
        errors=int(row["errors"]),
        p50_ms=_milliseconds(latency["p50"]),
        p95_ms=_milliseconds(latency["p95"]),
        p99_ms=_milliseconds(latency["p99"]),
    )


def _milliseconds(bucket: int) -> int:
    """Return a bucket's upper edge; buckets grow by a tenth, so that is the error at most."""
    return round(1.1**bucket)


def _ledger_entry(row: RowMapping) -> LedgerEntry:
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
