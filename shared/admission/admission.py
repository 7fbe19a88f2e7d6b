"""The way to every provider call: past the circuits, then through the rate limits.

Invariant: a call tries whether a provider is back only when nothing else holds it up.
"""

from datetime import datetime, timedelta

from shared.admission.circuits import Circuits
from shared.admission.pacing import Pacer
from shared.domain.circuits import CircuitClass, Trip
from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.rate_limits import RateReport
from shared.domain.routes import Candidate
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.ports.admission import Admitted, HeldUp
from shared.ports.clock import Clock

_RATE = Trip(CircuitClass.RATE)
_LONGEST_ANNOUNCED = timedelta(minutes=2)
_STOPPING = timedelta(seconds=5)
REFRESH_PERIOD = timedelta(milliseconds=750)
"""With its spread, what another replica found out is known within a second."""


class SharedAdmission:
    """Implements `Admission`.

    Args:
        circuits: Who is let alone.
        pacer: How fast the others are called.
        clock: Now.
    """

    def __init__(self, circuits: Circuits, pacer: Pacer, clock: Clock) -> None:
        self._circuits = circuits
        self._pacer = pacer
        self._clock = clock
        self._is_stopping = False

    async def admit(
        self, candidate: Candidate, tokens: int, patience: timedelta
    ) -> Admitted | HeldUp:
        """Let a call through, waiting at most `patience` for its turn within rate limits."""
        if held_up := self._circuits.held_up(candidate):
            return held_up
        turn = await self._pacer.turn(candidate, tokens, patience)
        if turn is None:
            return HeldUp(
                self._clock.now() + _STOPPING,
                "rate_limit",
                f"{candidate.provider} is called as fast as it allows",
            )
        probes = await self._circuits.passage(candidate)  # a circuit may have opened meanwhile
        if isinstance(probes, HeldUp):
            self._pacer.used(candidate, turn.credential, held=tokens, used=0)
            return probes
        return Admitted(candidate, tokens, self._clock.now(), probes, turn.credential)

    def is_retired(self, candidate: Candidate) -> bool:
        """Tell whether the model is known to be gone."""
        return self._circuits.is_retired(candidate)

    async def wait(self, until: datetime) -> None:
        """Return at `until`, or earlier when a circuit has changed or the process stops."""
        if not self._is_stopping:
            await self._circuits.wait(until)

    async def answered(
        self, call: Admitted, usage: TokenUsage, limits: RateReport | None = None
    ) -> None:
        """Note that the provider answered; one that says that nothing is left is let alone."""
        self._settle_tokens(call, usage)
        await self._circuits.answered(call)
        left_alone_for = limits.exhausted_for if limits else None
        if left_alone_for:
            await self._circuits.failed(
                call,
                ProviderFailure(
                    "rate_limit",
                    f"{call.candidate.provider}: nothing is left of its rate limit",
                    FailureAction.BACK_OFF,
                    min(left_alone_for, _LONGEST_ANNOUNCED),
                    trip=_RATE,
                ),
            )

    async def failed(self, call: Admitted, failure: ProviderFailure) -> None:
        """Note that the call failed."""
        self._settle_tokens(call, failure.usage)
        await self._circuits.failed(call, failure)

    async def not_called(self, call: Admitted) -> None:
        """Note that the call was not made after all; its tokens are returned, its turn is lost."""
        self._settle_tokens(call, NO_USAGE)
        await self._circuits.not_called(call)

    async def refresh(self) -> None:
        """Read what other replicas found out; run it at every hint and about once a second.

        Raises:
            DatabaseUnavailableError: What was known stays.
        """
        await self._circuits.refresh()
        await self._pacer.refresh()

    def stop_waiting(self) -> None:
        """Let nobody wait any longer: the process stops."""
        self._is_stopping = True
        self._pacer.stop_waiting()
        self._circuits.stop_waiting()

    def _settle_tokens(self, call: Admitted, usage: TokenUsage) -> None:
        used = usage.input_tokens + usage.output_tokens
        self._pacer.used(call.candidate, call.credential, call.tokens, used)
