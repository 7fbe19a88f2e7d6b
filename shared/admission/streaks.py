"""When failures of a model are no longer chance.

Every process counts for itself, so that a provider that answers costs nothing to watch; what it
concludes is shared.
"""

from shared.domain.catalog import Provider

_IN_A_ROW = 0b11111
_KEPT = 20
_MANY = 12
_MASK = (1 << _KEPT) - 1


class Streaks:
    """The last outcomes of each model: five failures in a row, or twelve of twenty, are many."""

    def __init__(self) -> None:
        self._outcomes: dict[tuple[Provider, str], int] = {}

    def answered(self, provider: Provider, model: str) -> None:
        """Note that a call was answered."""
        outcomes = self._outcomes.get((provider, model))
        if outcomes:  # nothing is kept of models that never fail
            self._outcomes[provider, model] = (outcomes << 1) & _MASK

    def failed(self, provider: Provider, model: str) -> bool:
        """Note that a call failed; tell whether these are many, and begin to count anew if so."""
        outcomes = (self._outcomes.get((provider, model), 0) << 1 | 1) & _MASK
        is_many = outcomes & _IN_A_ROW == _IN_A_ROW or outcomes.bit_count() >= _MANY
        self._outcomes[provider, model] = 0 if is_many else outcomes
        return is_many

    def forget(self, provider: Provider, model: str) -> None:
        """Begin to count anew."""
        self._outcomes.pop((provider, model), None)
