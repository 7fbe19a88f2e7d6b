"""Claims of slowed queues and scopes, one after the other: the cap holds exactly.

Who counts the calls under way must be the only one who adds to them, and must see what the last one
added. So each such claim takes the lock of the queue or scope in a statement of its own, before it
counts. The lock comes before every row lock: job, budgets, gates.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.budgets import BudgetScope
from shared.domain.claims import ClaimOutcome, ClaimRequest, NoRoom, Unclaimable
from shared.domain.gates import GateActor
from shared.domain.jobs import WaitingReason
from shared.persistence.connections import transaction
from shared.persistence.direct import on_pooled
from shared.persistence.repositories.claiming import Slowed, claim_once

_LOOK_AGAIN = timedelta(seconds=10)
"""How long jobs are told that the scope's calls under way may last."""
_SLOWED = """
    SELECT c.scope, c.queue, c.concurrency, c.actor, c.reason FROM scope_control c
    JOIN jobs j ON j.queue = c.queue
    WHERE j.id = :job_id AND c.scope = ANY(CAST(:scopes AS text[])) AND c.desired = 'slowed'
    UNION ALL
    SELECT NULL, q.queue, q.concurrency, q.actor, q.reason FROM queue_control q
    JOIN jobs j ON j.queue = q.queue WHERE j.id = :job_id AND q.desired = 'slowed'
"""
_LOCK = text(f"""
    SELECT pg_advisory_xact_lock(hashtextextended(concat(scope, ' ', queue), 0))
    FROM (SELECT scope, queue FROM ({_SLOWED}) AS s ORDER BY scope) AS ordered
""")  # noqa: S608 - our own statement
_GATES = text(_SLOWED + " ORDER BY scope")
# Each kind has a statement of its own: all calls under way are few, and found by their own index.
_RUNNING = """
    SELECT count(*) FROM attempts a JOIN jobs j ON j.id = a.job_id
    WHERE a.outcome = 'running' AND j.queue = :queue
"""
RUNNING_BY_KIND = {
    "global": text(_RUNNING),
    "tier": text(_RUNNING + " AND j.tier = :value"),
    "user": text(_RUNNING + " AND j.user_id = :value"),
    "key": text(_RUNNING + " AND j.key_id = :value"),
    "provider": text(_RUNNING + " AND a.provider = :value"),
}


async def claim_slowed(engine: AsyncEngine, request: ClaimRequest) -> ClaimOutcome:
    """Claim under the locks of all that slows the request, or say whose cap is reached."""
    parameters = {"job_id": request.job_id, "scopes": [*request.scopes]}
    async with transaction(engine) as connection:
        await connection.execute(_LOCK, parameters)
        for gate in (await connection.execute(_GATES, parameters)).mappings().all():
            running = await running_calls(connection, gate["scope"] or "global", gate["queue"])
            if running >= (gate["concurrency"] or 1):
                return _reached(gate, request)
        ((outcome, _),) = await claim_once(on_pooled(connection), [request], is_counted=True)
    if isinstance(outcome, Slowed):
        raise TypeError("a counted claim is not slowed")
    return outcome


def _reached(gate: RowMapping, request: ClaimRequest) -> NoRoom | Unclaimable:
    """Return why the request must wait: a queue's jobs in their queue, a scope's in its lot."""
    if gate["scope"] is None:
        return Unclaimable.GATE_SHUT
    is_money = GateActor(gate["actor"]) is GateActor.BUDGET
    return NoRoom(
        gate["scope"],
        request.now + _LOOK_AGAIN,
        WaitingReason.BUDGET if is_money else WaitingReason.BACKLOG,
        f"{gate['scope']} is slowed: {gate['reason']}",
    )


async def running_calls(connection: AsyncConnection, scope: str, queue: str) -> int:
    """Return how many calls of a scope's jobs in a queue are under way."""
    parsed = BudgetScope.parse(scope)
    parameters = {"queue": queue}
    if parsed.value:
        parameters["value"] = parsed.value
    counted = await connection.execute(RUNNING_BY_KIND[parsed.kind], parameters)
    number: int = counted.scalar_one()
    return number


async def settle_slowed(
    engine: AsyncEngine,
    requests: Sequence[ClaimRequest],
    outcomes: Sequence[ClaimOutcome | Slowed],
) -> Sequence[ClaimOutcome]:
    """Replace the outcomes of slowed requests by what came of claiming them under their locks."""
    return [
        await claim_slowed(engine, request) if isinstance(outcome, Slowed) else outcome
        for request, outcome in zip(requests, outcomes, strict=True)
    ]
