"""Budgets, usage, ledger and reconciliation as ops see them; every amount is a decimal string."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from shared.domain.budgets import ThresholdAction
from shared.domain.ledger import LedgerEntry
from shared.messages.frames import Usd
from shared.ports.money import BudgetState
from shared.ports.reports import Reconciliation, ReconciliationRun, UsageRow


class ThresholdView(BaseModel):
    """An amount and what happens once spending reaches it."""

    at_usd: Usd
    action: str
    queues: list[str]
    concurrency: int | None


class BudgetView(BaseModel):
    """A budget with its current window's money."""

    scope: str
    window: str
    limit_usd: Usd | None
    thresholds: list[ThresholdView]
    window_start: datetime
    window_end: datetime
    spent_usd: Usd
    held_usd: Usd


class BudgetList(BaseModel):
    """Every budget."""

    data: list[BudgetView]


class UsageView(BaseModel):
    """One group's sums, beside the keys that name the group."""

    model_config = ConfigDict(extra="allow")

    requests: int
    input_tokens: int
    output_tokens: int
    neurons: Usd
    cost_usd: Usd
    fallbacks: int
    errors: int
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None
    list_cost_usd: Usd
    openai_only_usd: Usd


class UsageList(BaseModel):
    """Usage by group."""

    data: list[UsageView]


class LedgerRow(BaseModel):
    """One attempt's line in the ledger; `id` is the attempt's."""

    id: str
    job_id: str
    user_id: str
    key_id: str
    tier: str
    operation: str
    provider: str
    model: str
    model_answered: str | None
    price_id: str
    provider_request_id: str | None
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    neurons_reported: Usd | None
    neurons: Usd
    list_cost_usd: Usd
    cost_usd: Usd
    is_fallback: bool
    assumed: bool
    corrects: str | None
    arm: str | None
    occurred_at: datetime


class LedgerPage(BaseModel):
    """Ledger lines in order of id; `next` is the `after` of the next page."""

    data: list[LedgerRow]
    has_more: bool
    next: str | None


class CountedCost(BaseModel):
    """How many entries there are of a kind, and their sum."""

    count: int
    cost_usd: Usd


class LastRun(BaseModel):
    """The newest reconciliation that was kept."""

    occasion: str
    ran_at: datetime
    drift_usd: Usd


class ReconciliationView(BaseModel):
    """Whether attempts and ledger agree; `drift_usd` is "0" when all is well.

    `assumed` counts calls charged at the most that they may have cost, because their worker died or
    their answer was lost, `corrections` the entries that correct others; `in_flight_usd` is the part of the drift whose events are on their
    way, and `holds_without_attempts_usd` what budgets hold for no call.
    """

    attempts_without_ledger: int
    ledger_without_attempt: int
    duplicate_entries: int
    open_holds: int
    expired_holds: int
    holds_without_attempts_usd: Usd
    assumed: CountedCost
    corrections: CountedCost
    in_flight_usd: Usd
    drift_usd: Usd
    last_run: LastRun | None


def budget_view(state: BudgetState) -> BudgetView:
    """Return a budget's body."""
    budget = state.budget
    return BudgetView(
        scope=str(budget.scope),
        window=budget.window,
        limit_usd=budget.limit_usd,
        thresholds=[
            ThresholdView(
                at_usd=one.at_usd,
                action=one.action,
                queues=list(one.queues),
                concurrency=one.concurrency if one.action is ThresholdAction.SLOW else None,
            )
            for one in budget.thresholds
        ],
        window_start=state.window_start,
        window_end=budget.window.end(state.window_start),
        spent_usd=state.spent_usd,
        held_usd=state.held_usd,
    )


def usage_list(rows: Sequence[UsageRow]) -> UsageList:
    """Return usage rows with their groups' keys beside the sums."""
    return UsageList(data=[usage_view(row) for row in rows])


def usage_view(row: UsageRow) -> UsageView:
    """Return a group's sums beside its keys."""
    return UsageView.model_validate(
                {
                    **row.keys,
                    "requests": row.requests,
                    "input_tokens": row.input_tokens,
                    "output_tokens": row.output_tokens,
                    "neurons": row.neurons,
                    "cost_usd": row.cost_usd,
                    "fallbacks": row.fallbacks,
                    "errors": row.errors,
                    "p50_ms": row.p50_ms,
                    "p95_ms": row.p95_ms,
                    "p99_ms": row.p99_ms,
                    "list_cost_usd": row.list_cost_usd,
                    "openai_only_usd": row.openai_only_usd,
                }
    )


def ledger_page(entries: Sequence[LedgerEntry], limit: int) -> LedgerPage:
    """Return one page of at most `limit` lines; one entry more tells that there is a next page."""
    shown = [ledger_row(entry) for entry in entries[:limit]]
    has_more = len(entries) > limit
    return LedgerPage(data=shown, has_more=has_more, next=shown[-1].id if has_more else None)


def reconciliation_view(
    found: Reconciliation, last: ReconciliationRun | None
) -> ReconciliationView:
    """Return a reconciliation's body."""
    return ReconciliationView(
        attempts_without_ledger=found.attempts_without_ledger,
        ledger_without_attempt=found.ledger_without_attempt,
        duplicate_entries=found.duplicate_entries,
        open_holds=found.open_holds,
        expired_holds=found.expired_holds,
        holds_without_attempts_usd=found.holds_without_attempts_usd,
        assumed=CountedCost(count=found.assumed_count, cost_usd=found.assumed_cost_usd),
        corrections=CountedCost(count=found.corrections_count, cost_usd=found.corrections_usd),
        in_flight_usd=found.in_flight_usd,
        drift_usd=found.drift_usd,
        last_run=None
        if last is None
        else LastRun(occasion=last.occasion, ran_at=last.ran_at, drift_usd=last.found.drift_usd),
    )


def ledger_row(entry: LedgerEntry) -> LedgerRow:
    """Return a ledger line's body."""
    return LedgerRow(
        id=entry.id,
        job_id=entry.job_id,
        user_id=entry.user_id,
        key_id=entry.key_id,
        tier=entry.tier,
        operation=entry.operation,
        provider=entry.provider,
        model=entry.model,
        model_answered=entry.model_answered,
        price_id=entry.price_id,
        provider_request_id=entry.provider_request_id,
        input_tokens=entry.usage.input_tokens,
        output_tokens=entry.usage.output_tokens,
        cached_tokens=entry.usage.cached_tokens,
        neurons_reported=entry.usage.neurons,
        neurons=entry.neurons,
        list_cost_usd=entry.list_cost_usd,
        cost_usd=entry.cost_usd,
        is_fallback=entry.is_fallback,
        assumed=entry.assumed,
        corrects=entry.corrects,
        arm=entry.arm,
        occurred_at=entry.occurred_at,
    )
