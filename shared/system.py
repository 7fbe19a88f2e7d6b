"""The real clock and the real source of identifiers, behind the ports of the same shape."""

import os
import time
from datetime import UTC, datetime

_RANDOM_BYTES = 10


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, UTC-aware."""
        return datetime.now(UTC)  # noqa: TID251 - the one adapter that reads the clock

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps back."""
        return time.monotonic()


class RandomIds:
    """Identifiers that sort by time of creation: 48 bits of milliseconds, 80 random bits."""

    def new(self, prefix: str) -> str:
        """Return `prefix_` and 32 hexadecimal digits."""
        milliseconds = time.time_ns() // 1_000_000
        return f"{prefix}_{milliseconds:012x}{os.urandom(_RANDOM_BYTES).hex()}"
