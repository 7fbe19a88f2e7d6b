"""The ledger: entries, rollups, holds, thresholds and gates in one commit per batch."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.budgets import Window
from shared.domain.ledger import LedgerEntry
from shared.domain.reference_prices import ReferencePrice
from shared.persistence.arrays import Batch
from shared.persistence.connections import transaction
from shared.persistence.group_commit import GroupCommit
from shared.persistence.repositories.thresholds import fire
from shared.ports.clock import Clock
from shared.ports.money import Booked

_ENTRY = Batch(
    id="text",
    job_id="text",
    user_id="text",
    key_id="text",
    tier="text",
    operation="text",
    provider="text",
    model="text",
    model_answered="text",
    price_id="text",
    input_tokens="integer",
    output_tokens="integer",
    cached_tokens="integer",
    cache_write_tokens="integer",
    service_tier="text",
    neurons_reported="numeric",
    neurons="numeric",
    list_cost_usd="numeric",
    cost_usd="numeric",
    is_fallback="boolean",
    is_error="boolean",
    assumed="boolean",
    latency_ms="integer",
    occurred_at="timestamptz",
    provider_request_id="text",
    corrects="text",
    arm="text",
    hold_usd="numeric",
    is_hedge="boolean",
)
_REFERENCE = Batch(
    r_tier="text",
    r_operation="text",
    r_first_day="date",
    r_end="date",
    r_input_usd="numeric",
    r_output_usd="numeric",
    r_long_above="integer",
    r_long_input="numeric",
    r_long_output="numeric",
)
_COLUMNS = """id, job_id, user_id, key_id, tier, operation, provider, model, model_answered,
    price_id, input_tokens, output_tokens, cached_tokens, cache_write_tokens, service_tier,
    neurons_reported, neurons, list_cost_usd, cost_usd, is_fallback, is_error, assumed, latency_ms,
    occurred_at, provider_request_id, corrects"""
_KEYS = "user_id, key_id, tier, provider, model, operation, arm"
# Upserts and locks go in key order, so that replicas booking side by side cannot deadlock. A window
# never goes back: around midnight a replica's clock may be behind the one that booked before it.
_BOOK = text(f"""
    WITH event AS MATERIALIZED (SELECT * FROM {_ENTRY.table("e")}),
    entry AS (
        INSERT INTO ledger_entries ({_COLUMNS}, arm)
        SELECT {_COLUMNS}, arm FROM event ORDER BY id
        ON CONFLICT (id) DO NOTHING
        RETURNING {_COLUMNS}, coalesce(arm, '') AS arm,
            CAST(occurred_at AT TIME ZONE 'UTC' AS date) AS day, corrects IS NULL AS is_attempt
    ),
    reference AS MATERIALIZED (SELECT * FROM {_REFERENCE.table("r")}),
    rolled AS (
        INSERT INTO usage_rollups AS u (day, {_KEYS}, requests, input_tokens, output_tokens,
            neurons, cost_usd, list_cost_usd, openai_only_usd, fallbacks, errors)
        SELECT day, {_KEYS}, count(*) FILTER (WHERE is_attempt), sum(input_tokens),
            sum(output_tokens), sum(neurons), sum(cost_usd), sum(list_cost_usd), sum(CASE
                WHEN provider = 'openai' THEN cost_usd
                WHEN is_error OR assumed OR NOT is_attempt THEN 0
                WHEN r_tier IS NULL THEN cost_usd
                WHEN input_tokens > r_long_above THEN (input_tokens * r_input_usd * r_long_input
                    + output_tokens * r_output_usd * r_long_output) / 1000000
                ELSE (input_tokens * r_input_usd + output_tokens * r_output_usd) / 1000000 END),
            count(*) FILTER (WHERE is_fallback AND is_attempt),
            count(*) FILTER (WHERE is_error AND is_attempt)
        FROM entry LEFT JOIN reference ON r_tier = tier AND r_operation = operation
            AND day >= coalesce(r_first_day, '-infinity') AND day < coalesce(r_end, 'infinity')
        GROUP BY day, {_KEYS} ORDER BY day, {_KEYS}
        ON CONFLICT (day, {_KEYS}) DO UPDATE SET
            requests = u.requests + excluded.requests,
            input_tokens = u.input_tokens + excluded.input_tokens,
            output_tokens = u.output_tokens + excluded.output_tokens,
            neurons = u.neurons + excluded.neurons,
            cost_usd = u.cost_usd + excluded.cost_usd,
            list_cost_usd = u.list_cost_usd + excluded.list_cost_usd,
            openai_only_usd = u.openai_only_usd + excluded.openai_only_usd,
            fallbacks = u.fallbacks + excluded.fallbacks,
            errors = u.errors + excluded.errors
    ),
    timed AS (
        INSERT INTO latency_rollups AS l (day, {_KEYS}, bucket, requests)
        SELECT day, {_KEYS}, ceil(ln(greatest(latency_ms, 1)) / ln(1.1)) AS bucket, count(*)
        FROM entry WHERE is_attempt GROUP BY day, {_KEYS}, bucket ORDER BY day, {_KEYS}, bucket
        ON CONFLICT (day, {_KEYS}, bucket) DO UPDATE SET requests = l.requests + excluded.requests
    ),
    summed AS (
        INSERT INTO ledger_days AS d (day, entries, cost_usd, assumed, assumed_usd, corrections,
            corrections_usd)
        SELECT day, count(*) FILTER (WHERE is_attempt),
            coalesce(sum(cost_usd) FILTER (WHERE is_attempt), 0),
            count(*) FILTER (WHERE assumed AND is_attempt),
            coalesce(sum(cost_usd) FILTER (WHERE assumed AND is_attempt), 0), count(corrects),
            coalesce(sum(cost_usd) FILTER (WHERE NOT is_attempt), 0)
        FROM entry GROUP BY day ORDER BY day
        ON CONFLICT (day) DO UPDATE SET entries = d.entries + excluded.entries,
            cost_usd = d.cost_usd + excluded.cost_usd, assumed = d.assumed + excluded.assumed,
            assumed_usd = d.assumed_usd + excluded.assumed_usd,
            corrections = d.corrections + excluded.corrections,
            corrections_usd = d.corrections_usd + excluded.corrections_usd
    ),
    counted AS MATERIALIZED (
        SELECT s.scope, e.hold_usd, n.cost_usd, n.occurred_at
        FROM entry n JOIN event e USING (id)
        CROSS JOIN LATERAL (VALUES ('global'), ('tier:' || n.tier), ('user:' || n.user_id),
            ('key:' || n.key_id), ('provider:' || n.provider)
            UNION ALL SELECT 'hedge:' || n.tier WHERE e.is_hedge) AS s(scope)
    ),
    budget AS MATERIALIZED (
        SELECT b.*, greatest(b.window_start, CASE b."window"
            WHEN 'day' THEN CAST(:day AS timestamptz) ELSE CAST(:month AS timestamptz) END
        ) AS current_start
        FROM budgets b WHERE b.scope IN (SELECT scope FROM counted)
        ORDER BY b.scope, b."window" FOR UPDATE
    ),
    change AS (
        SELECT b.scope, b."window", sum(c.hold_usd) AS hold_usd,
            coalesce(sum(c.cost_usd) FILTER (WHERE c.occurred_at >= b.current_start), 0)
                AS cost_usd
        FROM counted c JOIN budget b USING (scope) GROUP BY b.scope, b."window"
    ),
    spent AS (
        UPDATE budgets b SET
            window_start = o.current_start,
            spent_usd = CASE WHEN o.window_start < o.current_start THEN 0 ELSE o.spent_usd END
                + c.cost_usd,
            held_usd = greatest(0, o.held_usd - c.hold_usd),
            fired = CASE WHEN o.window_start < o.current_start THEN '{{}}' ELSE o.fired END
        FROM budget o JOIN change c USING (scope, "window")
        WHERE b.scope = o.scope AND b."window" = o."window"
        RETURNING b.scope, b."window", b.limit_usd, b.thresholds, b.window_start, b.spent_usd,
            b.held_usd, b.fired
    ),
    woken AS (
        UPDATE parking_lots l SET look_at = now() FROM (
            SELECT scope, queue FROM parking_lots
            WHERE scope IN (SELECT scope FROM counted) AND look_at > now()
            ORDER BY scope, queue FOR UPDATE
        ) AS marked
        WHERE l.scope = marked.scope AND l.queue = marked.queue
    )
    SELECT (SELECT count(*) FROM entry) AS entries, spent.*
    FROM (SELECT 1) AS one LEFT JOIN spent ON true
""")  # noqa: S608 - only our own column lists are put in

NO_REFERENCE = _REFERENCE.literals(())
"""For entries that no saving is counted for."""


class PostgresLedger:
    """Implements `Ledger`; concurrent bookings share a commit.

    Args:
        engine: The database.
        clock: Decides which windows are current.
        reference: The prices of the OpenAI-only bill; without them no saving is counted.
    """

    def __init__(
        self, engine: AsyncEngine, clock: Clock, reference: Sequence[ReferencePrice] = ()
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._reference = _REFERENCE.literals([_reference_values(one) for one in reference])
        self._book: GroupCommit[Sequence[LedgerEntry], Booked] = GroupCommit(
            self._book_batch, max_items=2000
        )

    async def book(self, entries: Sequence[LedgerEntry]) -> Booked:
        """Insert entries, update rollups, release holds, cross thresholds, move gates.

        Of the bookings that share a commit, one is told what all of them did.
        """
        return await self._book(entries)

    async def _book_batch(self, batch: Sequence[Sequence[LedgerEntry]]) -> Sequence[Booked]:
        now = self._clock.now()
        entries = [entry for some in batch for entry in some]
        async with transaction(self._engine) as connection:
            booked = await book_within(connection, entries, self._reference, now)
        return [booked, *[Booked(0, (), gates_moved=False)] * (len(batch) - 1)]


async def book_within(
    connection: AsyncConnection,
    entries: Sequence[LedgerEntry],
    reference: Mapping[str, str],
    now: datetime,
) -> Booked:
    """Book entries as part of the caller's transaction."""
    unique = {entry.id: entry for entry in entries}
    parameters = {
        **_ENTRY.literals([_values(entry) for entry in unique.values()]),
        **reference,
        "day": Window.DAY.start(now),
        "month": Window.MONTH.start(now),
    }
    rows = (await connection.execute(_BOOK, parameters)).mappings().all()
    budgets = [row for row in rows if row["scope"] is not None]
    alerts, gates_moved = await fire(connection, budgets, now)
    return Booked(rows[0]["entries"], alerts, gates_moved=gates_moved)


def _reference_values(price: ReferencePrice) -> Sequence[object]:
    return (
        price.tier.value,
        price.operation.value,
        price.first_day,
        price.end,
        price.input_usd_per_million,
        price.output_usd_per_million,
        price.long_context_above_tokens,
        price.long_context_input_factor,
        price.long_context_output_factor,
    )


def _values(entry: LedgerEntry) -> Sequence[object]:
    return (
        entry.id,
        entry.job_id,
        entry.user_id,
        entry.key_id,
        entry.tier.value,
        entry.operation.value,
        entry.provider,
        entry.model,
        entry.model_answered,
        entry.price_id,
        entry.usage.input_tokens,
        entry.usage.output_tokens,
        entry.usage.cached_tokens,
        entry.usage.cache_write_tokens,
        entry.usage.service_tier,
        entry.usage.neurons,
        entry.neurons,
        entry.list_cost_usd,
        entry.cost_usd,
        entry.is_fallback,
        entry.is_error,
        entry.assumed,
        entry.latency_ms,
        entry.occurred_at,
        entry.provider_request_id,
        entry.corrects,
        entry.arm,
        entry.hold_usd,
        entry.is_hedge,
    )
