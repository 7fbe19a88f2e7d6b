"""The claim statement: lease, attempt and hold for a batch of jobs, or the reason why not.

Budgets are checked against the batch's running total, under the budget rows' locks, so that
`spent + held` never passes a limit whatever runs beside it. Gates are read on the way: once one is
shut, no claim opens a call behind it, whether its worker has heard of it or not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.budgets import Window
from shared.domain.claims import (
    Claimed,
    ClaimOutcome,
    ClaimRequest,
    Divert,
    NoRoom,
    PassedOver,
    Unclaimable,
)
from shared.domain.gates import GateActor, GateState
from shared.domain.jobs import WaitingReason
from shared.domain.usage import TokenUsage
from shared.persistence.direct import Execute, HotStatement, Row
from shared.persistence.json_batch import JsonBatch

_HOLDS_LAST = timedelta(seconds=10)
"""How long jobs are told that the holds of calls under way may take what room there is."""
_REQUEST = JsonBatch(
    "requests",
    job_id="text",
    attempt_id="text",
    provider="text",
    model="text",
    price_id="text",
    hold_usd="numeric",
    is_fallback="boolean",
    is_diverted="boolean",
    passed_over="jsonb",
    arm="text",
    is_hedge="boolean",
)
_SCOPE = JsonBatch("scopes", request="bigint", scope="text")
# A job whose call is under way gets no other one, except one hedge beside it: at this worker, and
# under a cap. Of a scope's gate: a shut one comes before a slowed one, a slowed one before a
# diverted one. How many calls of a slowed scope or queue run is counted only under its lock: see
# `claim_slowed`.
_CLAIM = HotStatement.of(f"""
    WITH request AS MATERIALIZED (SELECT * FROM {_REQUEST.table("r")}),
    scope AS MATERIALIZED (
        SELECT s.request AS position, s.scope FROM {_SCOPE.table("s")}
    ),
    job AS MATERIALIZED (
        SELECT id, status, deadline, lease_owner, attempt_count, failure_count, cost_usd,
            input_tokens, output_tokens, neurons, created_at, queue, tier
        FROM jobs WHERE id IN (SELECT job_id FROM request) ORDER BY id FOR UPDATE
    ),
    opened_before AS (
        SELECT id, number FROM attempts
        WHERE id IN (SELECT attempt_id FROM request) AND outcome = 'running' AND worker = :worker
    ),
    verdict AS MATERIALIZED (
        SELECT r.*, j.attempt_count, j.failure_count, j.cost_usd, j.created_at,
            j.input_tokens, j.output_tokens, j.neurons, j.queue,
            o.number AS opened_number,
            CASE
                WHEN j.id IS NULL THEN 'missing'
                WHEN o.id IS NOT NULL THEN 'opened'
                WHEN j.status = 'running' AND (j.lease_owner <> :worker OR (
                    SELECT count(*) FROM attempts a WHERE a.job_id = j.id AND a.outcome = 'running'
                ) <> CAST(r.is_hedge AS integer)) THEN 'leased'
                WHEN j.status NOT IN ('queued', 'running') THEN 'done'
                WHEN r.is_hedge AND (j.status = 'queued' OR NOT EXISTS (
                    SELECT FROM scope JOIN budgets b USING (scope)
                    WHERE scope.position = r.position AND b.scope = 'hedge:' || j.tier
                )) THEN 'leased'
                WHEN j.status = 'queued' AND j.deadline <= :now THEN 'deadline_passed'
                WHEN q.desired IN ('paused', 'closed') THEN 'gate_shut'
                WHEN q.desired = 'slowed' AND NOT CAST(:is_counted AS boolean) THEN 'slowed'
                ELSE 'claimable'
            END AS verdict
        FROM request r LEFT JOIN job j ON j.id = r.job_id LEFT JOIN opened_before o
            ON o.id = r.attempt_id LEFT JOIN queue_control q ON q.queue = j.queue
    ),
    control AS MATERIALIZED (
        SELECT DISTINCT ON (v.position) v.position, c.scope, c.desired, c.actor, c.until, c.reason,
            c.concurrency
        FROM verdict v JOIN scope USING (position)
        JOIN scope_control c ON c.scope = scope.scope AND c.queue = v.queue
        WHERE v.verdict = 'claimable' AND (c.desired IN ('paused', 'closed')
            OR c.desired = 'slowed' AND NOT CAST(:is_counted AS boolean)
            OR c.diverts_until > :now AND NOT v.is_diverted)
        ORDER BY v.position, c.desired = 'running', c.desired = 'slowed',
            c.until DESC NULLS FIRST, c.scope
    ),
    budget AS MATERIALIZED (
        SELECT b.scope, b."window", b.limit_usd, b.held_usd,
            CASE WHEN b.window_start < CASE b."window" WHEN 'day' THEN CAST(:day AS timestamptz)
                ELSE CAST(:month AS timestamptz) END THEN 0 ELSE b.spent_usd END AS spent_usd
        FROM budgets b WHERE b.scope IN (SELECT scope FROM scope)
        ORDER BY b.scope, b."window" FOR UPDATE
    ),
    demand AS (
        SELECT v.position, b.scope, b."window", b.limit_usd,
            b.spent_usd + v.hold_usd > b.limit_usd AS is_spent,
            b.spent_usd + b.held_usd + v.hold_usd > b.limit_usd AS is_full,
            b.spent_usd + b.held_usd
            + sum(v.hold_usd) OVER (PARTITION BY b.scope, b."window" ORDER BY v.position)
                AS total_usd
        FROM verdict v JOIN scope USING (position) JOIN budget b USING (scope)
        WHERE v.verdict = 'claimable' AND v.position NOT IN (SELECT position FROM control)
    ),
    blocked AS MATERIALIZED (
        SELECT DISTINCT ON (position) position, scope, "window", is_spent, is_full
        FROM demand WHERE total_usd > limit_usd
        ORDER BY position, is_spent DESC, is_full DESC, "window" = 'month' DESC, scope
    ),
    admitted AS MATERIALIZED (
        SELECT v.*, v.attempt_count
            + row_number() OVER (PARTITION BY v.job_id ORDER BY v.position) AS number
        FROM verdict v
        WHERE v.verdict = 'claimable' AND v.position NOT IN (SELECT position FROM blocked)
            AND v.position NOT IN (SELECT position FROM control)
    ),
    opened AS (
        INSERT INTO attempts (id, job_id, number, worker, provider, model, price_id, outcome,
            hold_usd, is_fallback, is_diverted, passed_over, arm, is_hedge, started_at)
        SELECT attempt_id, job_id, number, :worker, provider, model, price_id, 'running',
            hold_usd, is_fallback, is_diverted, passed_over, arm, is_hedge, :now
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
    SELECT v.position, v.verdict, v.queue, v.cost_usd, v.failure_count, v.created_at,
        v.input_tokens, v.output_tokens, v.neurons,
        coalesce(a.number, v.opened_number) AS number, c.request,
        blocked.scope AS blocked_by, blocked."window" AS blocked_window, blocked.is_spent,
        blocked.is_full,
        control.scope AS shut_by, control.desired, control.actor, control.until, control.reason,
        control.concurrency
    FROM verdict v LEFT JOIN admitted a USING (position) LEFT JOIN blocked USING (position)
    LEFT JOIN control USING (position)
    LEFT JOIN job_contents c
        ON c.job_id = v.job_id AND coalesce(a.number, v.opened_number) IS NOT NULL
    ORDER BY v.position
""")  # noqa: S608 - only our own column lists are put in


@dataclass(frozen=True, slots=True)
class Slowed:
    """The job's queue, or a scope of the request, is slowed: claim it under that one's lock."""


async def claim_batch(
    execute: Execute, requests: Sequence[ClaimRequest]
) -> Sequence[ClaimOutcome | Slowed]:
    """Claim every request that can be; all come from one worker.

    Requests that found no room beside the others of their batch, though there was some, are tried
    again without those that have an answer: each round decides about its first one at least.
    """
    outcomes: dict[int, ClaimOutcome | Slowed] = {}
    pending = [*enumerate(requests)]
    while pending:
        answers = await claim_once(execute, [request for _, request in pending])
        again: list[tuple[int, ClaimRequest]] = []
        for (position, request), (outcome, is_crowded_out) in zip(pending, answers, strict=True):
            outcomes[position] = outcome
            if is_crowded_out:
                again.append((position, request))
        pending = again
    return [outcomes[position] for position in range(len(requests))]


async def claim_once(
    execute: Execute, requests: Sequence[ClaimRequest], *, is_counted: bool = False
) -> Sequence[tuple[ClaimOutcome | Slowed, bool]]:
    """Run the statement; per request its outcome, and whether only its company took its room.

    Args:
        execute: Commits by itself, or is in the transaction that holds slowed scopes' locks.
        requests: Of one worker.
        is_counted: Whether slowed queues and scopes have room for all of them.
    """
    first = requests[0]
    scopes = [
        (position, scope) for position, r in enumerate(requests, start=1) for scope in r.scopes
    ]
    rows = await execute(
        _CLAIM,
        {
            **_REQUEST.parameters([_values(request) for request in requests]),
            **_SCOPE.parameters(scopes),
            "worker": first.worker,
            "lease": first.lease,
            "now": first.now,
            "day": Window.DAY.start(first.now),
            "month": Window.MONTH.start(first.now),
            "is_counted": is_counted,
        },
    )
    return [
        (_outcome(row, request), row["blocked_by"] is not None and not row["is_full"])
        for row, request in zip(rows, requests, strict=True)
    ]


def _values(request: ClaimRequest) -> Sequence[object]:
    return (
        request.job_id,
        request.attempt_id,
        request.provider,
        request.model,
        request.price_id,
        request.hold_usd,
        request.is_fallback,
        request.is_diverted,
        [_passed_over(one) for one in request.passed_over] or None,
        request.arm,
        request.is_hedge,
    )


def _passed_over(one: PassedOver) -> Mapping[str, object]:
    return {"provider": one.provider, "model": one.model, "code": one.code, "at": one.at}


def _outcome(fields: Row, request: ClaimRequest) -> ClaimOutcome | Slowed:
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
    if fields["shut_by"] is not None:
        return _held_up(fields)
    if fields["blocked_by"] is not None:
        return _without_room(fields, request)
    return Slowed() if fields["verdict"] == "slowed" else Unclaimable(fields["verdict"])


def _held_up(fields: Row) -> NoRoom | Divert | Slowed:
    """Return what a scope's gate asks for."""
    match GateState(fields["desired"]):
        case GateState.PAUSED | GateState.CLOSED:
            is_money = GateActor(fields["actor"]) is GateActor.BUDGET
            return NoRoom(
                fields["shut_by"],
                fields["until"],
                WaitingReason.BUDGET if is_money else WaitingReason.QUEUE_PAUSED,
                fields["reason"] or f"{fields['shut_by']} is {fields['desired']}",
            )
        case GateState.SLOWED:
            return Slowed()
        case GateState.RUNNING:
            return Divert()


def _without_room(fields: Row, request: ClaimRequest) -> NoRoom:
    scope, window = fields["blocked_by"], Window(fields["blocked_window"])
    until = window.end(request.now) if fields["is_spent"] else request.now + _HOLDS_LAST
    return NoRoom(scope, until, detail=f"no room in budget {scope}")
