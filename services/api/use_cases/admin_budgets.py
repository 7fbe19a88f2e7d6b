"""Reads and replaces budgets; workers are told by a hint, because gates may have moved."""

from services.api.schemas.money import BudgetList, BudgetView, budget_view
from services.api.schemas.requests import BudgetBody, ThresholdBody
from services.api.use_cases.refusals import invalid, not_found
from services.api.use_cases.scopes import ReadScope
from shared.domain.access import Caller
from shared.domain.budgets import Budget, BudgetScope, Threshold, Window
from shared.domain.gates import WORK_QUEUES
from shared.domain.ids import QueueName
from shared.ports.messaging import ControlHint
from shared.ports.money import BudgetRepository


class AdminBudgets:
    """Budgets as ops set them."""

    def __init__(self, budgets: BudgetRepository, hint: ControlHint, read_scope: ReadScope) -> None:
        self._budgets = budgets
        self._hint = hint
        self._read_scope = read_scope

    async def all(self) -> BudgetList:
        """Return every budget."""
        return BudgetList(data=[budget_view(state) for state in await self._budgets.all()])

    async def get(self, scope: str, window: Window | None) -> BudgetView:
        """Return the budget of a scope and window; without a window, the one that was set last.

        Raises:
            RefusedError: The scope is none, or has no such budget.
        """
        for state in await self._budgets.of_scope(self._read_scope.shown(scope)):
            if window in {None, state.budget.window}:
                return budget_view(state)
        raise not_found("budget", scope)

    async def put(self, caller: Caller, scope: str, request: BudgetBody) -> BudgetView:
        """Replace the whole budget of the window; safe to repeat.

        Raises:
            RefusedError: The scope is none, or two thresholds share amount and action.
        """
        budget = _budget(self._read_scope(scope), request)
        state = await self._budgets.put(budget, caller.key_id, request.reason)
        await self._hint.send()
        return budget_view(state)

    async def delete(self, caller: Caller, scope: str, window: Window | None, reason: str) -> None:
        """Remove the budget of a window, or all of the scope's, with its gates.

        Raises:
            RefusedError: The scope is none, or has no such budget.
        """
        if not await self._budgets.delete(self._read_scope(scope), caller.key_id, window, reason):
            raise not_found("budget", scope)
        await self._hint.send()


def _budget(scope: BudgetScope, request: BudgetBody) -> Budget:
    try:
        thresholds = tuple(_threshold(one) for one in request.thresholds)
        return Budget(scope, request.window, request.limit_usd, thresholds)
    except ValueError as error:
        raise invalid("thresholds", str(error)) from error


def _threshold(body: ThresholdBody) -> Threshold:
    queues = WORK_QUEUES if body.queues is None else tuple(map(QueueName, body.queues))
    return Threshold(body.at_usd, body.action, queues, body.concurrency)
