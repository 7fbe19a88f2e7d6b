"""What ops read: sums from rollups, and pages of the ledger."""

from collections.abc import AsyncIterator, Sequence
from datetime import date

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.catalog import Operation, Tier
from shared.domain.ids import AttemptId
from shared.domain.ledger import LedgerEntry
from shared.persistence.connections import statement, transaction
from shared.persistence.repositories.ledger_pages import ledger_page
from shared.ports.reports import EVERYTHING, LedgerFilter, UsageRow

_COLUMN_BY_KEY = {
    "user": "user_id",
    "key": "key_id",
    "tier": "tier",
    "provider": "provider",
    "model": "model",
    "operation": "operation",
    "arm": "arm",
    "day": "day",
}
_AT_ONCE = 500
_WITHIN = """(CAST(:first AS date) IS NULL OR day >= :first)
    AND (CAST(:last AS date) IS NULL OR day <= :last)"""
_OF_ROUTES = """day >= :first AND day <= :last
    AND tier || '.' || operation = ANY(CAST(:routes AS text[]))"""


class PostgresReports:
    """Implements `Reports`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def usage(
        self, group_by: Sequence[str], first: date | None, last: date | None
    ) -> Sequence[UsageRow]:
        """Return sums by the given keys, in their order.

        Raises:
            KeyError: A key is none of `user key tier provider model operation arm day`.
        """
        query = _usage_sql(group_by)
        async with statement(self._engine) as connection:
            rows = await connection.execute(text(query), {"first": first, "last": last})
            return [_usage_row(group_by, row) for row in rows.mappings()]

    async def usage_by_arm(
        self, routes: Sequence[tuple[Tier, Operation]], first: date, last: date
    ) -> Sequence[UsageRow]:
        """Return sums by day and arm over some routes alone."""
        keys = ("day", "arm")
        named = [f"{tier}.{operation}" for tier, operation in routes]
        async with statement(self._engine) as connection:
            rows = await connection.execute(
                text(_usage_sql(keys, _OF_ROUTES)), {"routes": named, "first": first, "last": last}
            )
            return [_usage_row(keys, row) for row in rows.mappings()]

    async def usage_rows(
        self, group_by: Sequence[str], first: date | None, last: date | None
    ) -> AsyncIterator[UsageRow]:
        """Give the same from a cursor, which holds a connection meanwhile.

        Raises:
            KeyError: As `usage`.
        """
        query = text(_usage_sql(group_by)).execution_options(yield_per=_AT_ONCE)
        async with transaction(self._engine) as connection:
            rows = await connection.stream(query, {"first": first, "last": last})
            async for row in rows.mappings():
                yield _usage_row(group_by, row)

    async def ledger_page(
        self, after: AttemptId | None, limit: int, wanted: LedgerFilter = EVERYTHING
    ) -> Sequence[LedgerEntry]:
        """Return entries with ids greater than `after`, in order of id."""
        return await ledger_page(self._engine, after, limit, wanted)


def _usage_sql(group_by: Sequence[str], where: str = _WITHIN) -> str:
    columns = [_COLUMN_BY_KEY[key] for key in group_by]
    keys = "".join(f"{column}, " for column in columns)
    listed = ", ".join(columns)
    grouped = f"GROUP BY {listed}" if columns else "HAVING count(*) > 0"
    over = f"PARTITION BY {listed}" if columns else ""
    joined = (
        f"LEFT JOIN times USING ({listed}) ORDER BY {listed}" if columns else "CROSS JOIN times"
    )
    return f"""
        WITH sums AS (
            SELECT {keys} sum(requests) AS requests, sum(input_tokens) AS input_tokens,
                sum(output_tokens) AS output_tokens, sum(neurons) AS neurons,
                sum(cost_usd) AS cost_usd, sum(list_cost_usd) AS list_cost_usd,
                sum(openai_only_usd) AS openai_only_usd, sum(fallbacks) AS fallbacks,
                sum(errors) AS errors
            FROM usage_rollups WHERE {where} {grouped}
        ),
        counted AS (
            SELECT {keys} bucket, sum(requests) AS requests
            FROM latency_rollups WHERE {where} GROUP BY {keys} bucket
        ),
        ranked AS (
            SELECT {keys} bucket, sum(requests) OVER ({over} ORDER BY bucket) AS below,
                sum(requests) OVER ({over}) AS total
            FROM counted
        ),
        times AS (
            SELECT {keys} min(bucket) FILTER (WHERE below >= 0.5 * total) AS p50,
                min(bucket) FILTER (WHERE below >= 0.95 * total) AS p95,
                min(bucket) FILTER (WHERE below >= 0.99 * total) AS p99
            FROM ranked {f"GROUP BY {listed}" if columns else ""}
        )
        SELECT * FROM sums {joined}
    """  # noqa: S608 - column names come from the table above


def _usage_row(group_by: Sequence[str], row: RowMapping) -> UsageRow:
    return UsageRow(
        keys={key: str(row[_COLUMN_BY_KEY[key]]) for key in group_by},
        requests=int(row["requests"]),
        input_tokens=int(row["input_tokens"]),
        output_tokens=int(row["output_tokens"]),
        neurons=row["neurons"],
        cost_usd=row["cost_usd"],
        fallbacks=int(row["fallbacks"]),
        errors=int(row["errors"]),
        p50_ms=_milliseconds(row["p50"]),
        p95_ms=_milliseconds(row["p95"]),
        p99_ms=_milliseconds(row["p99"]),
        list_cost_usd=row["list_cost_usd"],
        openai_only_usd=row["openai_only_usd"],
    )


def _milliseconds(bucket: int | None) -> int | None:
    """Return a bucket's upper edge; buckets grow by a tenth, so that is the error at most."""
    return None if bucket is None else round(1.1**bucket)
