"""Puts a process's admission together, and lets it know what its replicas know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.admission.admission import SharedAdmission
from shared.admission.circuits import Circuits
from shared.admission.observing import CircuitMetrics
from shared.admission.pacing import Pacer
from shared.domain.rate_limits import RateLimit
from shared.observability.metrics import Metrics
from shared.ports.circuits import CircuitRepository
from shared.ports.clock import Clock
from shared.ports.messaging import ControlHint
from shared.ports.rate_turns import RateTurns


@dataclass(frozen=True, slots=True)
class Limits:
    """How fast providers may be called.

    Attributes:
        limits: Of the routing table; none when nobody keeps them.
        token_counts: How many API tokens a provider has, where that is not one.
    """

    limits: Sequence[RateLimit]
    token_counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SharedState:
    """What all replicas share."""

    circuits: CircuitRepository
    turns: RateTurns


async def open_admission(
    state: SharedState, limits: Limits, hint: ControlHint, clock: Clock, metrics: Metrics
) -> SharedAdmission:
    """Return a process's admission; it knows which circuits are open before the first call.

    Raises:
        DatabaseUnavailableError: Nobody knows.
    """
    circuits = Circuits(state.circuits, hint, clock, CircuitMetrics(metrics))
    pacer = Pacer(state.turns, limits.limits, limits.token_counts)
    admission = SharedAdmission(circuits, pacer, clock)
    await admission.refresh()
    return admission
