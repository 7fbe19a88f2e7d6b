"""A clock that stands still until told, and ids that count."""

from datetime import UTC, datetime, timedelta


class StillClock:
    def __init__(self) -> None:
        self._now = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
        self._seconds = 1000.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._seconds

    def advance(self, step: timedelta) -> None:
        self._now += step
        self._seconds += step.total_seconds()


class CountingIds:
    def __init__(self) -> None:
        self._last = 0

    def new(self, prefix: str) -> str:
        self._last += 1
        return f"{prefix}_{self._last:06d}"
