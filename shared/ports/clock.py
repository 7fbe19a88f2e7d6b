"""Time and identifiers."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the time, UTC-aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that never steps back."""
        ...


class Ids(Protocol):
    """Where identifiers come from."""

    def new(self, prefix: str) -> str:
        """Return a fresh id `prefix_…`, growing with time, never repeated."""
        ...
