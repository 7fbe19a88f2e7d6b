"""How each call is treated: the draw of the fault that strikes it, of its latency and its speed.

Invariant: a draw is no lottery. After n calls a fault of probability P has struck exactly ⌊n·P⌋
times, and the same seed gives the same latencies, so that a test of a share needs few calls.
"""

from dataclasses import dataclass
from random import Random

from simulator.behaviour import Behaviour, Mode
from simulator.spread import Spread, drawn

_ROUNDING = 1e-9
_SLOWER_BY = 10
_SLOWEST_TOKENS_PER_SECOND = 1.0


@dataclass(frozen=True, slots=True)
class Conduct:
    """How one call is treated; `tokens_per_second` 0 means no limit."""

    mode: Mode
    after_chunks: int
    error: str | None
    latency_seconds: float
    tokens_per_second: float


class Course:
    """The conduct of call after call of one behaviour."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self._random = Random(behaviour.seed)
        self._calls = 0
        self._is_spread = isinstance(behaviour.latency_ms, Spread) or isinstance(
            behaviour.tokens_per_second, Spread
        )
        self._struck = self._conduct(behaviour.mode)
        self._spared = self._conduct(Mode.OK)
        self._random.seed(behaviour.seed)

    def next(self) -> Conduct:
        """Return the conduct of the next call."""
        before = self._calls
        self._calls = before + 1
        share = self.behaviour.probability
        is_struck = int((before + 1) * share + _ROUNDING) > int(before * share + _ROUNDING)
        if self._is_spread:
            return self._conduct(self.behaviour.mode if is_struck else Mode.OK)
        return self._struck if is_struck else self._spared

    def _conduct(self, mode: Mode) -> Conduct:
        behaviour = self.behaviour
        latency_ms = drawn(behaviour.latency_ms, self._random)
        speed = drawn(behaviour.tokens_per_second, self._random)
        if mode is Mode.SLOW:
            speed = speed / _SLOWER_BY if speed else _SLOWEST_TOKENS_PER_SECOND
        return Conduct(mode, behaviour.after_chunks, behaviour.error, latency_ms / 1000, speed)
