"""Whether a provider's model may be called now, and what came of the call."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from shared.domain.circuits import CircuitKey
from shared.domain.errors import ProviderFailure
from shared.domain.rate_limits import RateReport
from shared.domain.routes import Candidate
from shared.domain.usage import TokenUsage

PATIENCE = timedelta(seconds=10)
"""How long a delivery is held for a provider, and how long a turn within rate limits is waited for
while somebody else may be asked: a backlog stays in its queue, and nothing is done twice for it."""
LAST_PATIENCE = timedelta(seconds=60)
"""How long a turn is waited for when nobody else may be asked."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may be made.

    Attributes:
        candidate: Who is called.
        tokens: The most that the call can use.
        began: When it was let through.
        probes: The circuits for which it tries whether their provider is back.
        credential: Which of the provider's API tokens it is to use, from 0; None for any.
    """

    candidate: Candidate
    tokens: int
    began: datetime
    probes: tuple[CircuitKey, ...] = ()
    credential: int | None = None


@dataclass(frozen=True, slots=True)
class HeldUp:
    """A call that must wait.

    Attributes:
        until: When to ask again.
        code: Why, in one word: the failure's code, or `rate_limit`.
        detail: Why, as a sentence for people.
    """

    until: datetime
    code: str
    detail: str


class Admission(Protocol):
    """Circuits and rate limits, shared with all other workers."""

    async def admit(
        self, candidate: Candidate, tokens: int, patience: timedelta
    ) -> Admitted | HeldUp:
        """Let a call through, waiting at most `patience` for its turn within rate limits.

        Without any patience its turn must be now. What is admitted must be reported by `answered`,
        `failed` or `not_called`.

        Raises:
            DatabaseUnavailableError: Nobody knows whether it may be made.
        """
        ...

    def is_retired(self, candidate: Candidate) -> bool:
        """Tell whether the model is known to be gone, so that its successor takes over."""
        ...

    async def wait(self, until: datetime) -> None:
        """Return at `until`, or earlier when a circuit has changed or the process stops."""
        ...

    async def answered(
        self, call: Admitted, usage: TokenUsage, limits: RateReport | None = None
    ) -> None:
        """Note that the provider answered."""
        ...

    async def failed(self, call: Admitted, failure: ProviderFailure) -> None:
        """Note that the call failed; what its failure says about the provider is shared."""
        ...

    async def not_called(self, call: Admitted) -> None:
        """Note that the call was not made after all."""
        ...
