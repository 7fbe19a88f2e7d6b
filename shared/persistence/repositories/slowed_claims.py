"""Claims of slowed scopes, one after the other: the cap holds exactly, whatever runs beside it.

Who counts a scope's calls under way must be the only one who adds to them, and must see what the
last one added. So each such claim takes the scope's lock in a statement of its own, before it
counts. The lock comes before every row lock: job, budgets, gates.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from shared.domain.budgets import BudgetScope
from shared.domain.gates import GateActor
from shared.domain.jobs import WaitingReason
from shared.domain.work import ClaimOutcome, ClaimRequest, NoRoom
from shared.persistence.connections import transaction
from shared.persistence.direct import on_pooled
from shared.persistence.repositories.claiming import Slowed, claim_once

_LOOK_AGAIN = timedelta(seconds=10)
"""How long jobs are told that the scope's calls under way may last."""
_SLOWED = """
    SELECT c.scope, c.queue, c.concurrency, c.actor, c.reason FROM scope_control c
    JOIN jobs j ON j.queue = c.queue
    WHERE j.id = :job_id AND c.scope = ANY(CAST(:scopes AS text[])) AND c.desired = 'slowed'
"""
_LOCK = text(f"""
    SELECT pg_advisory_xact_lock(hashtextextended(scope || ' ' || queue, 0))
    FROM (SELECT scope, queue FROM ({_SLOWED}) AS s ORDER BY scope) AS ordered
""")  # noqa: S608 - our own statement
_GATES = text(_SLOWED + " ORDER BY c.scope")
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
    """Claim under the locks of the request's slowed scopes, or say whose cap is reached."""
    parameters = {"job_id": request.job_id, "scopes": [*request.scopes]}
    async with transaction(engine) as connection:
        await connection.execute(_LOCK, parameters)
        for gate in (await connection.execute(_GATES, parameters)).mappings().all():
            running = await running_calls(connection, gate["scope"], gate["queue"])
            if running >= (gate["concurrency"] or 1):
                is_money = GateActor(gate["actor"]) is GateActor.BUDGET
                return NoRoom(
                    gate["scope"],
                    request.now + _LOOK_AGAIN,
                    WaitingReason.BUDGET if is_money else WaitingReason.BACKLOG,
                    f"{gate['scope']} is slowed: {gate['reason']}",
                )
        ((outcome, _),) = await claim_once(on_pooled(connection), [request], is_counted=True)
    if isinstance(outcome, Slowed):
        raise TypeError("a counted claim is not slowed")
    return outcome


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
