"""A quantity that differs from call to call: log-normal, named by two of its percentiles.

Invariant: half of the draws lie below `p50`, one in a hundred lies beyond `p99`, on whichever side
of `p50` that is: the slow end of a latency is the high one, of a speed the low one.
"""

from dataclasses import dataclass
from math import log
from random import Random

from simulator.json_values import is_number, is_object

_Z_99 = 2.326347874


@dataclass(frozen=True, slots=True)
class Spread:
    """A log-normal distribution."""

    p50: float
    p99: float

    def draw(self, random: Random) -> float:
        """Return the next value."""
        return random.lognormvariate(log(self.p50), log(self.p99 / self.p50) / _Z_99)


Amount = float | Spread


def read_amount(value: object) -> Amount:
    """Return the amount of a wire value: a number, or `{"p50": N, "p99": N}`.

    Raises:
        ValueError: it is neither, or not positive.
    """
    if is_number(value) and value >= 0:
        return value
    if is_object(value) and value.keys() == {"p50", "p99"}:
        p50, p99 = value["p50"], value["p99"]
        if is_number(p50) and is_number(p99) and p50 > 0 and p99 > 0:
            return Spread(p50, p99)
    raise ValueError("neither a number nor two percentiles")


def drawn(amount: Amount, random: Random) -> float:
    """Return the amount itself, or the next draw of a spread one."""
    return amount.draw(random) if isinstance(amount, Spread) else amount
