"""Gates: the state ops and budgets want a queue to be in."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.domain.catalog import Tier
from shared.domain.ids import QueueName


class GateState(StrEnum):
    """From free flow to refusal."""

    RUNNING = "running"
    SLOWED = "slowed"
    """Work goes on under a concurrency cap."""
    PAUSED = "paused"
    """Workers stop consuming; jobs are accepted and wait."""
    CLOSED = "closed"
    """As paused, and the API answers 503."""


class GateActor(StrEnum):
    """Who moved a gate; what a person closed only a person opens."""

    PERSON = "person"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True)
class Gate:
    """One queue's desired state.

    Attributes:
        queue: The queue's name.
        desired: The state workers converge to.
        generation: Grows by one with every change; workers report which one they obey.
        reason: A sentence for people.
        actor: Who set it.
        until: When it reopens by itself; None for never.
        concurrency: With `slowed`, how many calls may run at a time, over all workers.
    """

    queue: QueueName
    desired: GateState
    generation: int
    reason: str = ""
    actor: GateActor = GateActor.PERSON
    until: datetime | None = None
    concurrency: int | None = None

    @property
    def lets_work_start(self) -> bool:
        """Tell whether a worker may start a provider call for a job of this queue."""
        return self.desired in {GateState.RUNNING, GateState.SLOWED}


@dataclass(frozen=True, slots=True)
class ScopeGate:
    """What is wanted of one scope's work in one queue; everybody else's passes by.

    Attributes:
        scope: Whose work, as budgets write it (`user:ann`).
        diverts_until: Until when the work takes the cheaper route; None when it does not.
        concurrency: With `slowed`, how many calls may run at a time, over all workers.
    """

    scope: str
    queue: QueueName
    desired: GateState
    generation: int
    diverts_until: datetime | None = None
    reason: str = ""
    actor: GateActor = GateActor.PERSON
    until: datetime | None = None
    concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class QueueActual:
    """What one worker does with one queue: `running`, `pausing` or `paused`."""

    queue: QueueName
    actual: str
    generation: int
    in_flight: int


CHAT_FREE = QueueName("chat.free")
CHAT_PAID = QueueName("chat.paid")
CHAT_PREMIUM = QueueName("chat.premium")
EMBED_INTERACTIVE = QueueName("embed.interactive")
EMBED_BULK = QueueName("embed.bulk")
CHAT_QUEUE_BY_TIER = {
    Tier.FREE: CHAT_FREE,
    Tier.PAID: CHAT_PAID,
    Tier.PREMIUM: CHAT_PREMIUM,
}
WORK_QUEUES = (CHAT_FREE, CHAT_PAID, CHAT_PREMIUM, EMBED_INTERACTIVE, EMBED_BULK)
"""The queues that have a gate."""
