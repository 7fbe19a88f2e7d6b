"""The backlog stage: what ops ask and what a claim costs, with a million jobs waiting."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

import psycopg

from benchmarks.report import percentile
from benchmarks.stages import Bench
from shared.domain.budgets import scopes_of
from shared.domain.catalog import CLOUDFLARE, Tier
from shared.domain.claims import Claimed, ClaimRequest
from shared.domain.ids import AttemptId, JobId, KeyId, UserId
from shared.persistence.engine import create_engine
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.system import RandomIds

_JOBS = 1_000_000
_FEW = 1_000
_CALLS = 300
_CLAIMS = 200
_WANTED_MS = 50.0
_FILL = """
    WITH made AS (
        INSERT INTO jobs (id, user_id, key_id, tier, kind, queue, status, model_requested,
            on_interrupt, input_tokens_bound, max_output_tokens, request_hash, created_at,
            waiting_reason)
        SELECT 'job_' || lpad(to_hex(CAST(extract(epoch FROM now()) * 1000 AS bigint) + n), 12, '0')
                || lpad(to_hex(n), 20, '0'), 'user-' || mod(n, 500), 'key-' || mod(n, 500), 'free',
            'chat', 'chat.free', 'queued', 'auto', 'restart', 100, 50, '', now(),
            CASE mod(n, 2) WHEN 0 THEN 'budget' END
        FROM generate_series(%(first)s::bigint, %(last)s::bigint) AS n
        RETURNING id, user_id, waiting_reason
    ),
    contents AS (INSERT INTO job_contents (job_id, request) SELECT id, '{}' FROM made)
    INSERT INTO parked_commands (job_id, scope, queue, user_id, message_id, exchange, routing_key,
        body)
    SELECT id, 'user:nobody', 'chat.free', user_id, id, 'jobs', 'chat.free', ''
    FROM made WHERE waiting_reason = 'budget'
"""
_OLDEST = "SELECT id FROM jobs WHERE queue = 'chat.free' AND status = 'queued' ORDER BY id LIMIT %s"
_TABLES = ("jobs", "job_contents", "parked_commands", "outbox", "attempts", "ledger_entries")
_SCANS = """
    SELECT relname, seq_tup_read FROM pg_stat_user_tables
    WHERE relname = ANY(%s) OR relname LIKE 'ledger_entries_%%'
"""


@dataclass(frozen=True, slots=True)
class Waited:
    """How long calls took with few jobs waiting and with many."""

    name: str
    few_ms: Sequence[float]
    many_ms: Sequence[float]

    def line(self) -> str:
        """Return the table's line."""
        few, many = percentile(self.few_ms, 95), percentile(self.many_ms, 95)
        verdict = "ok" if many < _WANTED_MS else "ABOVE"
        middle = f"{percentile(self.few_ms, 50):>9.2f} {percentile(self.many_ms, 50):>9.2f}"
        return f"{self.name:<28} {middle} {few:>9.2f} {many:>9.2f}  ({verdict})"


@dataclass(frozen=True, slots=True)
class BacklogMeasured:
    """The stage's table.

    Attributes:
        rows_scanned: What sequential scans read of the tables that a backlog fills, while many
            jobs waited.
    """

    waited: Sequence[Waited]
    rows_scanned: Mapping[str, int]

    def lines(self) -> Sequence[str]:
        """Return the stage's report."""
        scanned = " ".join(
            f"{table} {rows}" for table, rows in self.rows_scanned.items() if rows > _FEW
        )
        return [
            f"backlog of {_FEW:,} and {_JOBS:,} jobs      p50 ms   p50 ms    p95 ms    p95 ms",
            *(one.line() for one in self.waited),
            f"{'rows read by whole scans':<28} {scanned or 'none (ok)'}",
        ]


async def backlog(bench: Bench) -> BacklogMeasured:
    """Ask and claim with a thousand jobs waiting, and again with a million."""
    database = bench.ready.database_url
    await asyncio.to_thread(_fill, database, 1, _FEW)
    few = await _measured(bench)
    await asyncio.to_thread(_fill, database, _FEW + 1, _JOBS)
    before = await asyncio.to_thread(_rows_scanned, database)
    many = await _measured(bench)
    scanned = await asyncio.to_thread(_rows_scanned, database) - before
    return BacklogMeasured([Waited(name, few[name], many[name]) for name in few], scanned)


def _fill(database: str, first: int, last: int) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(_FILL, {"first": first, "last": last})
        connection.execute("VACUUM ANALYZE jobs, job_contents, parked_commands")


def _rows_scanned(database: str) -> Counter[str]:
    with psycopg.connect(database, autocommit=True) as connection:
        return Counter(dict(connection.execute(_SCANS, [[*_TABLES]]).fetchall()))


async def _measured(bench: Bench) -> dict[str, Sequence[float]]:
    async def ask(path: str) -> None:
        status, body = await bench.admin.get(path)
        if status != 200:
            raise RuntimeError(f"{path}: {status} {body.decode()}")

    paths = {
        "GET /v1/admin/queues": "/v1/admin/queues",
        "GET /v1/admin/usage": "/v1/admin/usage?group_by=user,provider,day",
        "GET /v1/admin/budgets": "/v1/admin/budgets",
        "GET /v1/admin/reconciliation": "/v1/admin/reconciliation",
    }
    found = {name: await _timed(_CALLS, partial(ask, path)) for name, path in paths.items()}
    await bench.admin.close()
    found["claim, budgets checked"] = await _claims(bench.ready.database_url)
    return found


async def _timed(count: int, call: Callable[[], Awaitable[object]]) -> Sequence[float]:
    waited: list[float] = []
    for _ in range(count):
        began = time.perf_counter()
        await call()
        waited.append((time.perf_counter() - began) * 1000)
    return waited


async def _claims(database: str) -> Sequence[float]:
    """Claim the oldest jobs one by one, and give them back."""
    with psycopg.connect(database, autocommit=True) as connection:
        jobs = [JobId(id_) for (id_,) in connection.execute(_OLDEST, [_CLAIMS]).fetchall()]
    engine = create_engine(database, 1)
    attempts, ids = PostgresAttempts(engine), RandomIds()
    left = iter(jobs)

    async def claim() -> None:
        outcome = await attempts.claim(_request(next(left), AttemptId(ids.new("att"))))
        if not isinstance(outcome, Claimed):
            raise TypeError(f"not claimed: {outcome}")

    waited = await _timed(len(jobs), claim)
    await engine.dispose()
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DELETE FROM attempts WHERE job_id = ANY(%s)", [jobs])
        connection.execute(
            "UPDATE jobs SET status = 'queued', lease_owner = NULL, lease_until = NULL"
            " WHERE id = ANY(%s)",
            [jobs],
        )
    return waited


def _request(job_id: JobId, attempt_id: AttemptId) -> ClaimRequest:
    user, key = UserId("user-1"), KeyId("key-1")
    return ClaimRequest(
        job_id=job_id,
        attempt_id=attempt_id,
        worker="backlog-bench",
        lease=timedelta(seconds=300),
        provider=CLOUDFLARE,
        model="model",
        price_id="price",
        hold_usd=Decimal("0.000000000001"),
        is_fallback=False,
        scopes=[str(scope) for scope in scopes_of(Tier.FREE, user, key, CLOUDFLARE)],
        now=datetime.now(UTC),  # noqa: TID251 - a benchmark is its own composition root
    )
