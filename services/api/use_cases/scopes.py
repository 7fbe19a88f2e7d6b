"""Scopes as ops write them."""

from collections.abc import Collection

from services.api.use_cases.refusals import invalid
from shared.domain.budgets import BudgetScope, ScopeKind
from shared.domain.catalog import Provider


class ReadScope:
    """Reads a scope; a provider that nobody routes to is a slip of the pen."""

    def __init__(self, providers: Collection[Provider]) -> None:
        self._providers = providers

    def __call__(self, text: str) -> BudgetScope:
        """Return a scope whose budget or gates are to be changed.

        Raises:
            RefusedError: It is none, names a provider that no route names, or is one of second
                requests, whose cap is the routing table's.
        """
        scope = self.shown(text)
        if scope.kind is ScopeKind.HEDGE:
            raise invalid("scope", f"the cap of {text} is set in the routing table, as hedge")
        return scope

    def shown(self, text: str) -> BudgetScope:
        """Return a scope whose budget is to be shown.

        Raises:
            RefusedError: It is none, or names a provider that no route names.
        """
        try:
            scope = BudgetScope.parse(text)
        except ValueError as error:
            raise invalid("scope", str(error)) from error
        if scope.kind is ScopeKind.PROVIDER and scope.value not in self._providers:
            known = ", ".join(sorted(self._providers))
            raise invalid("scope", f"budget scope {text!r}: provider is one of {known}")
        return scope
