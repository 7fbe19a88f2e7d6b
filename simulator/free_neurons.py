"""The neurons that Cloudflare gives away each day.

Invariant: of each UTC day's neurons the first ones are free, as many as the control says, in the
order in which they are produced; what was taken is read back from the bill.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from datetime import date
from decimal import Decimal

from simulator.bill_row import BillRow


class FreeNeurons:
    """What is left of each day's free neurons.

    Args:
        per_day: Tells how many a day has now.
    """

    def __init__(self, per_day: Callable[[], Decimal]) -> None:
        self._per_day = per_day
        self._taken_by_day: defaultdict[date, Decimal] = defaultdict(Decimal)

    def read_back(self, rows: Iterable[BillRow]) -> None:
        """Take up what the rows of a bill have taken."""
        for row in rows:
            if row.free_neurons:
                self._taken_by_day[row.at.date()] += row.free_neurons

    def take(self, day: date, neurons: Decimal) -> Decimal:
        """Return how many of a day's neurons are free, and count them as taken."""
        per_day = self._per_day()
        if not per_day:
            return Decimal(0)
        free = max(Decimal(0), min(neurons, per_day - self._taken_by_day[day]))
        self._taken_by_day[day] += free
        return free

    def is_used_up(self, day: date) -> bool:
        """Tell whether nothing is left of a day's free neurons."""
        return self._taken_by_day[day] >= self._per_day()

    def forget(self) -> None:
        """Let every day begin anew."""
        self._taken_by_day.clear()
