"""Turns of calls within a provider's rate limits, given to all replicas from one line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from shared.domain.rate_limits import Pace


@dataclass(frozen=True, slots=True)
class TurnWish:
    """A call that wants its turn.

    Attributes:
        units: How much of each limit it takes: one request, so many tokens.
        paces: How each of those limits is kept.
    """

    units: Mapping[str, int]
    paces: Mapping[str, Pace]


class RateTurns(Protocol):
    """One line per limit, whoever calls."""

    async def take(
        self, wishes: Sequence[TurnWish], within: timedelta
    ) -> Sequence[timedelta | None]:
        """Give each wish its turn, in order, as a wait from now on.

        Once a limit has no turn within `within`, those after it that need it get None as well, and
        nothing is taken for them.

        Raises:
            DatabaseUnavailableError: Nobody knows whose turn it is.
        """
        ...

    async def give_back(self, limit: str, pace: Pace, units: int) -> None:
        """Return units that a call did not use after all."""
        ...
