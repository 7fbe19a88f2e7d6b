"""What follows from money spent: alerts, and gates moved, inside the caller's transaction.

The global budget moves queues; any other scope's budget holds up that scope's work alone, because a
queue is shared and one user's budget must not stop another.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from shared.domain.budgets import GLOBAL_SCOPE, Budget, BudgetScope, ScopeKind, Threshold, crossed
from shared.domain.gates import GateActor, GateState
from shared.domain.money import decimal_string
from shared.domain.throttling import GateWish, Spending, gate_wishes
from shared.persistence.arrays import Batch
from shared.persistence.repositories.budget_rows import budget, budget_state
from shared.persistence.repositories.gate_changes import change_gates
from shared.persistence.repositories.scope_gates import change_scope_gates
from shared.ports.gates import GateChange

_ALERT = Batch(threshold="text", action="text", message="text")
_FIRE = text(f"""
    WITH marked AS (
        UPDATE budgets SET fired = fired || CAST(:threshold AS text[])
        WHERE scope = :scope AND "window" = :window
    )
    INSERT INTO alerts (scope, "window", window_start, threshold, action, message, spent_usd,
        fired_at)
    SELECT :scope, :window, :window_start, threshold, action, message, :spent_usd, :now
    FROM {_ALERT.table("a")} ORDER BY position
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - only our own column lists are put in
_BUDGETS = text("""
    SELECT *, EXISTS (SELECT FROM scope_control c WHERE c.scope = :scope) AS has_gates
    FROM budgets WHERE scope = :scope ORDER BY "window" FOR UPDATE
""")


async def fire(
    connection: AsyncConnection, rows: Sequence[RowMapping], now: datetime
) -> tuple[Sequence[str], bool]:
    """Fire the thresholds that budgets' spending has reached and not fired in their window.

    Args:
        connection: Inside a transaction that holds the budgets' rows.
        rows: The budgets' rows after their money changed.
        now: Decides the end of windows, until when gates stay shut.

    Returns:
        A sentence per fired threshold, and whether any gate moved.
    """
    told: list[str] = []
    moved = False
    fired = {row["scope"]: row for row in rows if await _alert(connection, row, now, told)}
    for scope in sorted(fired):
        moved |= await move_gates(connection, BudgetScope.parse(scope), now)
    return told, moved


async def move_gates(
    connection: AsyncConnection, scope: BudgetScope, now: datetime, *, by: str = "ledger"
) -> bool:
    """Bring a scope's gates to what its budgets want together, closing as well as opening.

    Returns:
        Whether any gate moved; one that a person shut does not.
    """
    rows = (await connection.execute(_BUDGETS, {"scope": str(scope)})).mappings().all()
    states = [budget_state(row, now) for row in rows]
    wishes = gate_wishes([Spending(one.budget, one.spent_usd) for one in states], now)
    if scope.kind is not ScopeKind.GLOBAL:
        _, moved = await change_scope_gates(connection, str(scope), wishes, GateActor.BUDGET, by)
        return moved
    _, moved = await change_gates(connection, [_change(wish, by) for wish in wishes])
    if any(wish.diverts_until for wish in wishes) or not rows or rows[0]["has_gates"]:
        moved |= await _divert_all(connection, wishes, by)
    return moved


async def _divert_all(connection: AsyncConnection, wishes: Sequence[GateWish], by: str) -> bool:
    """Divert all work, or no longer: queues know no diverting, the scope `global` does."""
    diverting = [
        GateWish(w.queue, GateState.RUNNING, w.reason, diverts_until=w.diverts_until)
        for w in wishes
    ]
    _, moved = await change_scope_gates(
        connection, str(GLOBAL_SCOPE), diverting, GateActor.BUDGET, by
    )
    return moved


async def _alert(
    connection: AsyncConnection, row: RowMapping, now: datetime, told: list[str]
) -> bool:
    """Store an alert for each newly crossed threshold; tell whether there was one."""
    the_budget = budget(row)
    fired = crossed(the_budget, row["spent_usd"], row["fired"])
    if not fired:
        return False
    messages = [_sentence(the_budget, threshold, row) for threshold in fired]
    values = [
        (threshold.key, threshold.action.value, message)
        for threshold, message in zip(fired, messages, strict=True)
    ]
    await connection.execute(
        _FIRE,
        {
            **_ALERT.parameters(values),
            "scope": row["scope"],
            "window": row["window"],
            "window_start": row["window_start"],
            "spent_usd": row["spent_usd"],
            "now": now,
        },
    )
    told += messages
    return True


def _change(wish: GateWish, by: str) -> GateChange:
    return GateChange(
        queue=wish.queue,
        desired=wish.desired,
        reason="" if wish.desired is GateState.RUNNING else wish.reason,
        actor=GateActor.BUDGET,
        by=by,
        until=wish.until,
        concurrency=wish.concurrency,
    )


def _sentence(the_budget: Budget, threshold: Threshold, row: RowMapping) -> str:
    return (
        f"budget {the_budget.scope}: {decimal_string(row['spent_usd'])} USD spent this "
        f"{the_budget.window}, threshold {decimal_string(threshold.at_usd)} USD: {threshold.action}"
    )
