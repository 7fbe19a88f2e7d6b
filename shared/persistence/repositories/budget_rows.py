"""How budgets look as rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from pydantic import TypeAdapter
from sqlalchemy import RowMapping

from shared.domain.budgets import Budget, BudgetScope, Threshold, Window
from shared.ports.money import BudgetState

_THRESHOLDS: TypeAdapter[tuple[Threshold, ...]] = TypeAdapter(tuple[Threshold, ...])


@dataclass(frozen=True, slots=True)
class _AuditedBudget:
    limit_usd: Decimal | None
    thresholds: tuple[Threshold, ...]


_BUDGET = TypeAdapter(_AuditedBudget)


def thresholds_json(thresholds: Sequence[Threshold]) -> str:
    """Return thresholds as stored; amounts are decimal strings."""
    return _THRESHOLDS.dump_json(tuple(thresholds)).decode()


def budget_json(the_budget: Budget) -> str:
    """Return a budget as the audit trail keeps it."""
    return _BUDGET.dump_json(_AuditedBudget(the_budget.limit_usd, the_budget.thresholds)).decode()


def budget(row: RowMapping) -> Budget:
    """Read a row of `budgets`."""
    return Budget(
        scope=BudgetScope.parse(row["scope"]),
        window=Window(row["window"]),
        limit_usd=row["limit_usd"],
        thresholds=_THRESHOLDS.validate_python(row["thresholds"]),
    )


def budget_state(row: RowMapping, now: datetime) -> BudgetState:
    """Read a budget with its money; a window that has ended counts as unspent."""
    state = budget(row)
    start = state.window.start(now)
    spent_usd: Decimal = row["spent_usd"] if row["window_start"] >= start else Decimal(0)
    return BudgetState(state, start, spent_usd, row["held_usd"])
