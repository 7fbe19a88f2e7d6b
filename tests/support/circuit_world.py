"""A world in which workers share the circuits of their providers."""

from dataclasses import dataclass, field
from datetime import timedelta

from shared.admission.circuits import Circuits
from shared.domain.catalog import CLOUDFLARE
from shared.domain.circuits import CircuitClass, CircuitKey, Trip
from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.routes import Candidate
from shared.ports.admission import Admitted, HeldUp
from tests.support.fakes_of_circuits import CountingHint, MemoryCircuits, SeenCircuits
from tests.support.fakes_of_time import StillClock

SECOND = timedelta(seconds=1)
LLAMA = Candidate(CLOUDFLARE, "llama")
GEMMA = Candidate(CLOUDFLARE, "gemma")


def failure(
    trip: Trip | None, retry_after: timedelta | None = None, *, is_known: bool = True
) -> ProviderFailure:
    return ProviderFailure(
        "e1", "it failed", FailureAction.FALL_BACK, retry_after, trip=trip, is_known=is_known
    )


OUTAGE = failure(Trip(CircuitClass.FAILING))
SPENT = failure(Trip(CircuitClass.MONEY, every_model=True))
TOO_FAST = failure(Trip(CircuitClass.RATE), 3 * SECOND)
GONE = failure(Trip(CircuitClass.RETIRED))


@dataclass
class World:
    clock: StillClock = field(default_factory=StillClock)
    truth: MemoryCircuits = field(default_factory=MemoryCircuits)
    hint: CountingHint = field(default_factory=CountingHint)
    seen: SeenCircuits = field(default_factory=SeenCircuits)

    def worker(self) -> Circuits:
        return Circuits(self.truth, self.hint, self.clock, self.seen)

    def call(self, candidate: Candidate = LLAMA, probes: tuple[CircuitKey, ...] = ()) -> Admitted:
        return Admitted(candidate, 0, self.clock.now(), probes)

    async def opened_by_outage(self, worker: Circuits) -> None:
        for _ in range(5):
            await worker.failed(self.call(), OUTAGE)


async def passage_of(
    worker: Circuits, candidate: Candidate = LLAMA
) -> tuple[CircuitKey, ...] | HeldUp:
    return worker.held_up(candidate) or await worker.passage(candidate)


async def probes_of(worker: Circuits, candidate: Candidate = LLAMA) -> tuple[CircuitKey, ...]:
    passage = await passage_of(worker, candidate)
    assert not isinstance(passage, HeldUp)
    return passage


async def held_up_of(worker: Circuits, candidate: Candidate = LLAMA) -> HeldUp:
    passage = await passage_of(worker, candidate)
    assert isinstance(passage, HeldUp)
    return passage
