"""The simulator's clock: the machine's, or one set to another moment that runs on from there.

Invariant: always UTC-aware. Retirement of models, effective prices and the bill's times all follow
it.
"""

import time
from datetime import UTC, date, datetime, timedelta

_STARTED = time.time() - time.monotonic()


class Clock:
    """UTC time with a settable offset."""

    def __init__(self) -> None:
        self._offset = timedelta()
        self._set_to: str | None = None

    @property
    def set_to(self) -> str | None:
        """The moment it was set to, as given; None while it shows the machine's time."""
        return self._set_to

    def set(self, moment: str | None) -> None:
        """Start at an ISO 8601 moment (UTC unless it says else), or return to the machine's time.

        Raises:
            ValueError: `moment` is not ISO 8601.
        """
        if moment is None:
            self._offset, self._set_to = timedelta(), None
            return
        self._offset = aware(moment) - datetime.now(UTC)
        self._set_to = moment

    def now(self) -> datetime:
        """Return the current moment."""
        return datetime.now(UTC) + self._offset

    def today(self) -> date:
        """Return the current UTC day."""
        return self.now().date()


def steady_seconds() -> float:
    """Return the machine's time in seconds since 1970, as of the start: it never falls."""
    return _STARTED + time.monotonic()


def aware(moment: str) -> datetime:
    """Return the UTC-aware moment of an ISO 8601 string.

    Raises:
        ValueError: `moment` is not ISO 8601.
    """
    parsed = datetime.fromisoformat(moment)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
