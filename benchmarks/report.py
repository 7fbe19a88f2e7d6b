"""What a stage measured, as lines for people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Reported(Protocol):
    """What a stage says."""

    def lines(self) -> Sequence[str]:
        """Return the stage's report."""
        ...


@dataclass(frozen=True, slots=True)
class Measured:
    """One stage's figures.

    Attributes:
        per_second: The stage's rate.
        unit: Of what.
        wanted: The least rate that is good enough, if the rate is what is measured.
        latencies_ms: Of single items, if they were timed.
        cpu_ms: Processor time per item, by process.
        bounds: What the same rate is at best, by the name of the way.
        wanted_p50_ms: The longest median latency that is good enough.
    """

    stage: str
    per_second: float
    unit: str
    wanted: float = 0
    latencies_ms: Sequence[float] = ()
    cpu_ms: Mapping[str, float] = field(default_factory=dict[str, float])
    bounds: Mapping[str, float] = field(default_factory=dict[str, float])
    wanted_p50_ms: float = 0

    def lines(self) -> Sequence[str]:
        """Return the stage's report."""
        rate = f"{self.stage:<28} {self.per_second:>9.0f} {self.unit}/s"
        if self.wanted:
            verdict = "ok" if self.per_second >= self.wanted else "BELOW"
            rate = f"{rate}  (wanted {self.wanted:.0f}: {verdict})"
        lines = [rate]
        if self.latencies_ms:
            marks = " ".join(
                f"p{percent} {percentile(self.latencies_ms, percent):.1f} ms"
                for percent in (50, 95, 99)
            )
            if self.wanted_p50_ms:
                is_good = percentile(self.latencies_ms, 50) <= self.wanted_p50_ms
                verdict = "ok" if is_good else "ABOVE"
                marks = f"{marks}  (wanted p50 {self.wanted_p50_ms:.0f} ms: {verdict})"
            lines.append(f"{'':<28} latency {marks}")
        if self.cpu_ms:
            used = " ".join(f"{name} {value:.2f}" for name, value in sorted(self.cpu_ms.items()))
            ours = sum(v for name, v in self.cpu_ms.items() if name not in NOT_OURS)
            lines.append(f"{'':<28} CPU ms per {self.unit}: {used}; our services {ours:.2f}")
        lines += [
            f"{'  ' + name:<28} {bound:>9.0f} {self.unit}/s  "
            f"({self.per_second / bound:.0%} of that reached)"
            for name, bound in self.bounds.items()
        ]
        return lines


NOT_OURS = frozenset({"load", "postgres", "rabbitmq", "epmd", "simulator"})


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value below which `percent` of the values lie; values must not be empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
