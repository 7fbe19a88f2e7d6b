"""How long a provider may take; a provider that falls silent costs a worker no more than this.

Invariant: only waiting for the provider counts against the silence limits, never the time that the
reader of an answer takes between two pieces.
"""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds that a provider may take.

    Attributes:
        connect: To open a connection or to get one from the pool.
        first_token: From sending a request to the first token or, for embeddings, the headers.
        between_tokens: From one token to the next.
        total: For the whole call.
    """

    connect: float = 5.0
    first_token: float = 20.0
    between_tokens: float = 15.0
    total: float = 120.0


class Deadline:
    """The limits applied to one call that starts now."""

    def __init__(self, limits: TimeLimits) -> None:
        self._loop = asyncio.get_running_loop()
        self._limits = limits
        started = self._loop.time()
        self._silent_until = started + limits.first_token
        self._ends_at = started + limits.total
        self._has_progressed = False

    def waiting(self) -> asyncio.Timeout:
        """Return a context for one wait; it raises `TimeoutError` once a limit is reached."""
        return asyncio.timeout_at(min(self._silent_until, self._ends_at))

    def progressed(self) -> None:
        """Note that a token arrived."""
        self._has_progressed = True
        self._silent_until = self._loop.time() + self._limits.between_tokens

    def answered(self) -> None:
        """Note that no silence is too long any more: the answer comes, or came, in one piece."""
        self._silent_until = self._ends_at

    @property
    def code(self) -> str:
        """The failure code of the limit that comes first."""
        if self._ends_at <= self._silent_until:
            return "timeout_total"
        return "timeout_between_tokens" if self._has_progressed else "timeout_first_token"
