"""When the nightly check of models begins."""

from datetime import UTC, datetime, time, timedelta
from zlib import crc32

_EARLIEST = time(0, 5, tzinfo=UTC)
_SPREAD_SECONDS = 30 * 60


def is_night(worker: str, at: datetime) -> bool:
    """Tell whether a worker may begin the check of this UTC day.

    Between 00:05 and 00:35, at another moment for each worker and day, so that deployments do not
    ask providers in step.
    """
    day = at.astimezone(UTC).date()
    spread = timedelta(seconds=crc32(f"{worker}:{day}".encode()) % _SPREAD_SECONDS)
    return at >= datetime.combine(day, _EARLIEST) + spread
