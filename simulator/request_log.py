"""Which calls of models arrived when, so that tests can prove that a limit was never exceeded.

Invariant: every call that named a model is counted, refused or not, at the moment it arrived; the
times of the last hour are kept, so that memory stays bounded.
"""

from array import array
from bisect import bisect_left

import numpy as np
import numpy.typing as npt

from simulator.json_values import JsonObject

_HOUR_SECONDS = 3600.0
_MINUTE_SECONDS = 60.0
_BURST_SECONDS = 0.1
_FEWEST_KEPT = 4_096

Times = npt.NDArray[np.float64]


class Calls:
    """The calls of one model."""

    def __init__(self) -> None:
        self.total = 0
        self.refused = 0
        self._times = array("d")
        self._prune_at = _FEWEST_KEPT

    def arrived(self, now: float) -> None:
        """Count a call at `now` (seconds since 1970, never falling)."""
        self.total += 1
        self._times.append(now)
        if len(self._times) >= self._prune_at:
            del self._times[: bisect_left(self._times, now - _HOUR_SECONDS)]
            self._prune_at = max(2 * len(self._times), _FEWEST_KEPT)

    def since(self, moment: float) -> Times:
        """Return the times of arrival from `moment` on."""
        return np.array(self._times[bisect_left(self._times, moment) :], dtype=np.float64)


class RequestLog:
    """The calls of every provider's models."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], Calls] = {}

    def arrived(self, provider: str, model: str, now: float) -> Calls:
        """Count a call; a refusal is added to what is returned."""
        calls = self._calls.get((provider, model))
        if calls is None:
            calls = self._calls[provider, model] = Calls()
        calls.arrived(now)
        return calls

    def forget(self) -> None:
        """Forget every call."""
        self._calls.clear()

    def to_json(self, provider: str | None, model: str | None, now: float) -> JsonObject:
        """Return the wire form of a provider's or a model's calls; None stands for all."""
        chosen = [
            calls
            for (its_provider, its_model), calls in self._calls.items()
            if provider in {None, its_provider} and model in {None, its_model}
        ]
        times = [calls.since(now - _HOUR_SECONDS) for calls in chosen]
        together: Times = np.sort(np.concatenate(times)) if times else np.empty(0)
        return {
            "total": sum(calls.total for calls in chosen),
            "refused": sum(calls.refused for calls in chosen),
            "by_second": _by_second(together),
            "most_in_a_minute": most_within(_MINUTE_SECONDS, together),
            "most_in_100ms": most_within(_BURST_SECONDS, together),
        }


def most_within(seconds: float, times: Times) -> int:
    """Return the greatest number of ascending times in any window `[t, t + seconds)`."""
    if not len(times):
        return 0
    ends = np.searchsorted(times, times + seconds, side="left")
    return int(np.max(ends - np.arange(len(times))))


def _by_second(times: Times) -> list[tuple[int, int]]:
    seconds, counts = np.unique(times.astype(np.int64), return_counts=True)
    return [(int(second), int(count)) for second, count in zip(seconds, counts, strict=True)]
