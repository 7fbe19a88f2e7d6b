"""Scopes as ops write them."""

from services.api.use_cases.refusals import invalid
from shared.domain.budgets import BudgetScope


def read_scope(text: str) -> BudgetScope:
    """Return the scope.

    Raises:
        RefusedError: It is none.
    """
    try:
        return BudgetScope.parse(text)
    except ValueError as error:
        raise invalid("scope", str(error)) from error
