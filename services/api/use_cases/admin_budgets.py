"""Reads and replaces budgets; workers are told by a hint, because gates may have moved."""

from services.api.schemas.money import BudgetList, BudgetView, budget_view
from services.api.schemas.requests import BudgetBody, ThresholdBody
from services.api.use_cases.refusals import invalid, not_found
from shared.domain.access import Caller
from shared.domain.budgets import Budget, BudgetScope, Threshold
from shared.domain.gates import WORK_QUEUES
from shared.domain.ids import QueueName
from shared.ports.messaging import ControlHint
from shared.ports.money import BudgetRepository


class AdminBudgets:
    """Budgets as ops set them."""

    def __init__(self, budgets: BudgetRepository, hint: ControlHint) -> None:
        self._budgets = budgets
        self._hint = hint

    async def all(self) -> BudgetList:
        """Return every budget."""
        return BudgetList(data=[budget_view(state) for state in await self._budgets.all()])

    async def get(self, scope: str) -> BudgetView:
        """Return the budget of a scope.

        Raises:
            RefusedError: The scope is none, or has no budget.
        """
        state = await self._budgets.get(_scope(scope))
        if state is None:
            raise not_found("budget", scope)
        return budget_view(state)

    async def put(self, caller: Caller, scope: str, request: BudgetBody) -> BudgetView:
        """Replace the whole budget; safe to repeat.

        Raises:
            RefusedError: The scope is none, or two thresholds share amount and action.
        """
        state = await self._budgets.put(_budget(_scope(scope), request), caller.key_id)
        await self._hint.send()
        return budget_view(state)

    async def delete(self, caller: Caller, scope: str) -> None:
        """Remove the budget with its gates.

        Raises:
            RefusedError: The scope is none, or has no budget.
        """
        if not await self._budgets.delete(_scope(scope), caller.key_id):
            raise not_found("budget", scope)
        await self._hint.send()


def _scope(text: str) -> BudgetScope:
    try:
        return BudgetScope.parse(text)
    except ValueError as error:
        raise invalid("scope", str(error)) from error


def _budget(scope: BudgetScope, request: BudgetBody) -> Budget:
    try:
        thresholds = tuple(_threshold(one) for one in request.thresholds)
        return Budget(scope, request.window, request.limit_usd, thresholds)
    except ValueError as error:
        raise invalid("thresholds", str(error)) from error


def _threshold(body: ThresholdBody) -> Threshold:
    queues = WORK_QUEUES if body.queues is None else tuple(map(QueueName, body.queues))
    return Threshold(body.at_usd, body.action, queues)
