"""What all budgets of a scope want together of the scope's work, queue by queue.

Invariant: the wish is a function of the budgets and of what they have spent alone. A scope with a
budget by day and one by month gets the strictest of what both want, until neither wants it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from shared.domain.budgets import (
    Budget,
    ThresholdAction,
    diverted_queues,
    gates_wanted,
    strictest_gates,
)
from shared.domain.gates import WORK_QUEUES, GateState
from shared.domain.ids import QueueName


@dataclass(frozen=True, slots=True)
class Spending:
    """A budget with what its window has cost so far."""

    budget: Budget
    spent_usd: Decimal


@dataclass(frozen=True, slots=True)
class GateWish:
    """What budgets want of one queue's work.

    Attributes:
        until: When what shuts or slows the queue may end by itself; None when nothing does.
        concurrency: With `slowed`, how many calls may run at a time.
        diverts_until: Until when work takes the cheaper route; None when it does not.
    """

    queue: QueueName
    desired: GateState
    reason: str = ""
    until: datetime | None = None
    concurrency: int | None = None
    diverts_until: datetime | None = None


def gate_wishes(spendings: Sequence[Spending], now: datetime) -> Sequence[GateWish]:
    """Return the wish for every work queue, `running` where nothing is wanted.

    A wish that two windows share lasts as long as the longer one.

    Args:
        spendings: All budgets of one scope.
        now: Decides when windows end.
    """
    desired = strictest_gates(gates_wanted(one.budget, one.spent_usd) for one in spendings)
    return [_wish(queue, desired[queue], spendings, now) for queue in sorted(WORK_QUEUES)]


def _wish(
    queue: QueueName, desired: GateState, spendings: Sequence[Spending], now: datetime
) -> GateWish:
    is_open = desired is GateState.RUNNING
    shutting = [
        one.budget
        for one in spendings
        if not is_open and gates_wanted(one.budget, one.spent_usd)[queue] is desired
    ]
    diverting = [
        one.budget for one in spendings if queue in diverted_queues(one.budget, one.spent_usd)
    ]
    return GateWish(
        queue=queue,
        desired=desired,
        reason=_reason(shutting or diverting, now),
        until=_last_end(shutting, now),
        concurrency=_concurrency(queue, spendings) if desired is GateState.SLOWED else None,
        diverts_until=_last_end(diverting, now),
    )


def _reason(budgets: Sequence[Budget], now: datetime) -> str:
    if not budgets:
        return ""
    longest = max(budgets, key=lambda budget: budget.window.end(now))
    return f"{longest.window} budget {longest.scope}"


def _last_end(budgets: Iterable[Budget], now: datetime) -> datetime | None:
    return max((budget.window.end(now) for budget in budgets), default=None)


def _concurrency(queue: QueueName, spendings: Iterable[Spending]) -> int:
    return min(
        threshold.concurrency
        for one in spendings
        for threshold in one.budget.thresholds
        if threshold.action is ThresholdAction.SLOW
        and queue in threshold.queues
        and one.spent_usd >= threshold.at_usd
    )
