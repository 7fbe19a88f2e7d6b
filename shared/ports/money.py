"""The ledger, budgets and what can be read from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.catalog import Tier
from shared.domain.ledger import LedgerEntry


@dataclass(frozen=True, slots=True)
class BudgetState:
    """A budget with its current window's money."""

    budget: Budget
    window_start: datetime
    spent_usd: Decimal
    held_usd: Decimal


class BudgetRepository(Protocol):
    """Budgets as ops set them; a scope has at most one by day and one by month."""

    async def get(self, scope: BudgetScope) -> BudgetState | None:
        """Return the budget of a scope; of two, the one that was set last."""
        ...

    async def of_scope(self, scope: BudgetScope) -> Sequence[BudgetState]:
        """Return the budgets of a scope, the one that was set last first."""
        ...

    async def all(self) -> Sequence[BudgetState]:
        """Return every budget."""
        ...

    async def put(self, budget: Budget, by: str, reason: str = "") -> BudgetState:
        """Replace a scope's budget of a window; a raised limit frees parked jobs, opens gates.

        `by` and `reason` are for the audit trail.
        """
        ...

    async def delete(
        self, scope: BudgetScope, by: str, window: Window | None = None, reason: str = ""
    ) -> bool:
        """Remove the budget of a window, or of both, with its gates; False when there is none."""
        ...


class HedgeCaps(Protocol):
    """What second requests may cost, as the routing table says."""

    async def keep(self, caps: Mapping[Tier, Decimal]) -> None:
        """Let each tier's second requests cost at most so many USD a UTC day, whoever makes them.

        A tier without a cap has none. What is spent and held stays. Safe to repeat.

        Raises:
            DatabaseUnavailableError: It is unknown which caps are kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class Booked:
    """What booking a batch did.

    Attributes:
        entries: How many entries were new.
        alerts: Thresholds that were crossed now, as sentences.
        gates_moved: Whether workers should re-read their gates.
    """

    entries: int
    alerts: Sequence[str]
    gates_moved: bool


class Ledger(Protocol):
    """Append-only; one entry per attempt."""

    async def book(self, entries: Sequence[LedgerEntry]) -> Booked:
        """Insert entries, update rollups, release holds, cross thresholds, move gates: one commit.

        Idempotent by entry id: any order and any repetition of events gives the same sums.
        """
        ...
