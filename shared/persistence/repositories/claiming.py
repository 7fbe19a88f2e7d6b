"""The claim statement: lease, attempt and hold for a batch of jobs, or the reason why not.

Budgets are checked against the batch's running total, under the budget rows' locks, so that
`spent + held` never passes a limit whatever runs beside it.
"""

from collections.abc import Sequence
from datetime import timedelta

from shared.domain.budgets import Window
from shared.domain.usage import TokenUsage
from shared.domain.work import Claimed, ClaimOutcome, ClaimRequest, NoRoom, Unclaimable
from shared.persistence.direct import Execute, HotStatement, Row
from shared.persistence.json_batch import JsonBatch

_HOLDS_LAST = timedelta(seconds=10)
"""When to look again for room that only the holds of calls under way are taking."""
_REQUEST = JsonBatch(
    "requests",
    job_id="text",
    attempt_id="text",
    provider="text",
    model="text",
    price_id="text",
    hold_usd="numeric",
    is_fallback="boolean",
)
_SCOPE = JsonBatch("scopes", request="bigint", scope="text")
_CLAIM = HotStatement.of(f"""
    WITH request AS MATERIALIZED (SELECT * FROM {_REQUEST.table("r")}),
    scope AS MATERIALIZED (
        SELECT s.request AS position, s.scope FROM {_SCOPE.table("s")}
    ),
    job AS MATERIALIZED (
        SELECT id, status, deadline, lease_owner, attempt_count, failure_count, cost_usd,
            input_tokens, output_tokens, neurons, created_at
        FROM jobs WHERE id IN (SELECT job_id FROM request) ORDER BY id FOR UPDATE
    ),
    opened_before AS (
        SELECT id, number FROM attempts
        WHERE id IN (SELECT attempt_id FROM request) AND outcome = 'running' AND worker = :worker
    ),
    verdict AS MATERIALIZED (
        SELECT r.*, j.attempt_count, j.failure_count, j.cost_usd, j.created_at,
            j.input_tokens, j.output_tokens, j.neurons,
            o.number AS opened_number,
            CASE
                WHEN j.id IS NULL THEN 'missing'
                WHEN o.id IS NOT NULL THEN 'opened'
                WHEN j.status = 'running' AND j.lease_owner = :worker AND NOT EXISTS (
                    SELECT FROM attempts a WHERE a.job_id = j.id AND a.outcome = 'running'
                ) THEN 'claimable'
                WHEN j.status = 'running' THEN 'leased'
                WHEN j.status <> 'queued' THEN 'done'
                WHEN j.deadline <= :now THEN 'deadline_passed'
                ELSE 'claimable'
            END AS verdict
        FROM request r LEFT JOIN job j ON j.id = r.job_id LEFT JOIN opened_before o
            ON o.id = r.attempt_id
    ),
    budget AS MATERIALIZED (
        SELECT b.scope, b."window", b.limit_usd, b.held_usd,
            CASE WHEN b.window_start < CASE b."window" WHEN 'day' THEN CAST(:day AS timestamptz)
                ELSE CAST(:month AS timestamptz) END THEN 0 ELSE b.spent_usd END AS spent_usd
        FROM budgets b WHERE b.scope IN (SELECT scope FROM scope) ORDER BY b.scope FOR UPDATE
    ),
    demand AS (
        SELECT v.position, b.scope, b."window", b.limit_usd,
            b.spent_usd + v.hold_usd > b.limit_usd AS is_spent, b.spent_usd + b.held_usd
            + sum(v.hold_usd) OVER (PARTITION BY b.scope ORDER BY v.position) AS total_usd
        FROM verdict v JOIN scope USING (position) JOIN budget b USING (scope)
        WHERE v.verdict = 'claimable'
    ),
    blocked AS MATERIALIZED (
        SELECT DISTINCT ON (position) position, scope, "window", is_spent
        FROM demand WHERE total_usd > limit_usd ORDER BY position, is_spent DESC, scope
    ),
    admitted AS MATERIALIZED (
        SELECT v.*, v.attempt_count
            + row_number() OVER (PARTITION BY v.job_id ORDER BY v.position) AS number
        FROM verdict v
        WHERE v.verdict = 'claimable' AND v.position NOT IN (SELECT position FROM blocked)
    ),
    opened AS (
        INSERT INTO attempts (id, job_id, number, worker, provider, model, price_id, outcome,
            hold_usd, is_fallback, started_at)
        SELECT attempt_id, job_id, number, :worker, provider, model, price_id, 'running',
            hold_usd, is_fallback, :now
        FROM admitted
    ),
    leased AS (
        UPDATE jobs SET status = 'running', lease_owner = :worker,
            lease_until = now() + CAST(:lease AS interval),
            started_at = coalesce(jobs.started_at, :now), attempt_count = a.number,
            waiting_reason = NULL, waiting_until = NULL, waiting_detail = NULL
        FROM (SELECT job_id, max(number) AS number FROM admitted GROUP BY job_id) a
        WHERE jobs.id = a.job_id
    ),
    held AS (
        UPDATE budgets SET held_usd = budgets.held_usd + d.hold_usd
        FROM (SELECT scope, sum(hold_usd) AS hold_usd FROM admitted JOIN scope USING (position)
            GROUP BY scope) d
        WHERE budgets.scope = d.scope
    )
    SELECT v.position, v.verdict, v.cost_usd, v.failure_count, v.created_at,
        v.input_tokens, v.output_tokens, v.neurons,
        coalesce(a.number, v.opened_number) AS number, c.request,
        blocked.scope AS blocked_by, blocked."window" AS blocked_window, blocked.is_spent
    FROM verdict v LEFT JOIN admitted a USING (position) LEFT JOIN blocked USING (position)
    LEFT JOIN job_contents c
        ON c.job_id = v.job_id AND coalesce(a.number, v.opened_number) IS NOT NULL
    ORDER BY v.position
""")  # noqa: S608 - only our own column lists are put in


async def claim_batch(execute: Execute, requests: Sequence[ClaimRequest]) -> Sequence[ClaimOutcome]:
    """Claim every request that can be; all come from one worker.

    A request that found no room beside the others of its batch is tried once more alone.
    """
    outcomes = await _claim(execute, requests)
    if len(requests) == 1:
        return outcomes
    return [
        (await _claim(execute, [request]))[0] if isinstance(outcome, NoRoom) else outcome
        for request, outcome in zip(requests, outcomes, strict=True)
    ]


async def _claim(execute: Execute, requests: Sequence[ClaimRequest]) -> Sequence[ClaimOutcome]:
    first = requests[0]
    values = [
        (r.job_id, r.attempt_id, r.provider.value, r.model, r.price_id, r.hold_usd, r.is_fallback)
        for r in requests
    ]
    scopes = [
        (position, scope) for position, r in enumerate(requests, start=1) for scope in r.scopes
    ]
    rows = await execute(
        _CLAIM,
        {
            **_REQUEST.parameters(values),
            **_SCOPE.parameters(scopes),
            "worker": first.worker,
            "lease": first.lease,
            "now": first.now,
            "day": Window.DAY.start(first.now),
            "month": Window.MONTH.start(first.now),
        },
    )
    return [_outcome(row, request) for row, request in zip(rows, requests, strict=True)]


def _outcome(fields: Row, request: ClaimRequest) -> ClaimOutcome:
    if fields["number"] is not None:
        return Claimed(
            number=fields["number"],
            request_json=fields["request"],
            cost_so_far_usd=fields["cost_usd"],
            usage_so_far=TokenUsage(
                fields["input_tokens"], fields["output_tokens"], fields["neurons"]
            ),
            failures_so_far=fields["failure_count"],
            created_at=fields["created_at"],
        )
    if fields["blocked_by"] is not None:
        if not fields["is_spent"]:
            return NoRoom(fields["blocked_by"], request.now + _HOLDS_LAST)
        return NoRoom(fields["blocked_by"], Window(fields["blocked_window"]).end(request.now))
    return Unclaimable(fields["verdict"])
