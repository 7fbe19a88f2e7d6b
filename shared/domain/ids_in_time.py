"""Where months begin among attempt ids, which begin with 48 bits of milliseconds in hexadecimal.

So entries can be kept by month and found by day through the id alone.
"""

from datetime import datetime


def first_id_at(moment: datetime) -> str:
    """Return what is greater than every attempt id made before `moment`, and no greater later."""
    return f"att_{int(moment.timestamp() * 1000):012x}"


def month_start(moment: datetime) -> datetime:
    """Return the first moment of the month, in `moment`'s zone."""
    return moment.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def next_month(start: datetime) -> datetime:
    """Return the first moment of the month after the one that begins at `start`."""
    return start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
