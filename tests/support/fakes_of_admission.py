"""Who may be called, in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.domain.circuits import CircuitClass, CircuitKey
from shared.domain.errors import ProviderFailure
from shared.domain.rate_limits import RateReport
from shared.domain.routes import Candidate
from shared.domain.usage import TokenUsage
from shared.ports.admission import Admitted, HeldUp
from tests.support.fakes_of_time import StillClock


@dataclass
class ScriptedAdmission:
    """Implements `Admission`: lets everything through, except what the script holds up.

    Attributes:
        held_up: By model, what happens to its next calls, in order.
        retired: Models that are gone.
        probing: Models whose calls try whether their provider is back.
    """

    clock: StillClock = field(default_factory=StillClock)
    held_up: Mapping[str, list[HeldUp]] = field(default_factory=dict[str, list[HeldUp]])
    retired: set[str] = field(default_factory=set[str])
    probing: set[str] = field(default_factory=set[str])
    asked: list[str] = field(default_factory=list[str])
    patience: list[timedelta] = field(default_factory=list[timedelta])
    waits: list[datetime] = field(default_factory=list[datetime])
    answers: list[tuple[str, TokenUsage]] = field(default_factory=list[tuple[str, TokenUsage]])
    failures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    uncalled: list[str] = field(default_factory=list[str])

    async def admit(
        self, candidate: Candidate, tokens: int, patience: timedelta
    ) -> Admitted | HeldUp:
        self.asked.append(candidate.model)
        self.patience.append(patience)
        script = self.held_up.get(candidate.model)
        if script:
            return script.pop(0)
        key = CircuitKey(candidate.provider, candidate.model, CircuitClass.FAILING)
        probes = (key,) if candidate.model in self.probing else ()
        return Admitted(candidate, tokens, self.clock.now(), probes, credential=1)

    def is_retired(self, candidate: Candidate) -> bool:
        return candidate.model in self.retired

    async def wait(self, until: datetime) -> None:
        self.waits.append(until)

    async def answered(
        self, call: Admitted, usage: TokenUsage, limits: RateReport | None = None
    ) -> None:
        del limits
        self.answers.append((call.candidate.model, usage))

    async def failed(self, call: Admitted, failure: ProviderFailure) -> None:
        self.failures.append((call.candidate.model, failure.code))
        trip = failure.trip
        if trip is not None and trip.circuit == "retired":
            self.retired.add(call.candidate.model)

    async def not_called(self, call: Admitted) -> None:
        self.uncalled.append(call.candidate.model)


def held_up_until(until: datetime, times: int = 1) -> Sequence[HeldUp]:
    """Return what a call is told while its provider is let alone."""
    return [HeldUp(until, "3040", "cloudflare is let alone: out of capacity")] * times
