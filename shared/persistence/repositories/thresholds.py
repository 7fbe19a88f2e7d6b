"""What follows from money spent: alerts, and gates moved, inside the caller's transaction.

Only a global budget moves gates: a queue is shared, and one user's budget must not stop another.
"""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.budgets import Budget, ScopeKind, Threshold, crossed, gates_wanted
from shared.domain.gates import GateActor, GateState
from shared.domain.ids import QueueName
from shared.domain.money import decimal_string
from shared.persistence.repositories.budget_rows import budget
from shared.persistence.repositories.gate_changes import change_gate
from shared.ports.gates import GateChange

_FIRE = text("""
    INSERT INTO alerts (scope, window_start, threshold, spent_usd, fired_at)
    VALUES (:scope, :window_start, :threshold, :spent_usd, :now) ON CONFLICT DO NOTHING
""")
_MARK = text("UPDATE budgets SET fired = fired || CAST(:keys AS text[]) WHERE scope = :scope")


async def fire(
    connection: AsyncConnection, row: RowMapping, now: datetime
) -> tuple[Sequence[str], bool]:
    """Fire the thresholds a budget's spending has reached and not fired in this window.

    Args:
        connection: Inside a transaction that holds the budget's row.
        row: The budget's row after its money changed.
        now: Decides the end of the window, until when gates stay shut.

    Returns:
        A sentence per fired threshold, and whether any gate moved.
    """
    the_budget = budget(row)
    fired = crossed(the_budget, row["spent_usd"], row["fired"])
    if not fired:
        return [], False
    for threshold in fired:
        await connection.execute(
            _FIRE,
            {
                "scope": row["scope"],
                "window_start": row["window_start"],
                "threshold": threshold.key,
                "spent_usd": row["spent_usd"],
                "now": now,
            },
        )
    keys = [threshold.key for threshold in fired]
    await connection.execute(_MARK, {"keys": keys, "scope": row["scope"]})
    moved = await move_gates(connection, the_budget, row["spent_usd"], now)
    return [_sentence(the_budget, threshold, row) for threshold in fired], moved


async def move_gates(
    connection: AsyncConnection,
    the_budget: Budget,
    spent_usd: Decimal,
    now: datetime,
    *,
    by: str = "ledger",
) -> bool:
    """Bring the gates to what a global budget wants, closing as well as opening.

    Returns:
        Whether any gate moved; one that a person shut does not.
    """
    if the_budget.scope.kind is not ScopeKind.GLOBAL:
        return False
    wanted = gates_wanted(the_budget, spent_usd)
    moves = [
        await change_gate(connection, _change(the_budget, queue, state, now, by))
        for queue, state in sorted(wanted.items())
    ]
    return any(moved for _, moved in moves)


def _change(
    the_budget: Budget, queue: QueueName, state: GateState, now: datetime, by: str
) -> GateChange:
    opens = state is GateState.RUNNING
    return GateChange(
        queue=queue,
        desired=state,
        reason="" if opens else f"{the_budget.window} budget {the_budget.scope}",
        actor=GateActor.BUDGET,
        by=by,
        until=None if opens else the_budget.window.end(now),
        concurrency=1 if state is GateState.SLOWED else None,
    )


def _sentence(the_budget: Budget, threshold: Threshold, row: RowMapping) -> str:
    return (
        f"budget {the_budget.scope}: {decimal_string(row['spent_usd'])} USD spent this "
        f"{the_budget.window}, threshold {decimal_string(threshold.at_usd)} USD: {threshold.action}"
    )
