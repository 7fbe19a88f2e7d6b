"""One job under way in this worker: what is left of it and where it stands."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from services.embedding_worker.policies.batches import Batch, batches_of, halves_of
from services.embedding_worker.policies.targets import Target
from shared.domain.access import Caller
from shared.domain.claims import PassedOver
from shared.domain.collections import EmbeddingWork
from shared.domain.ids import QueueName
from shared.domain.jobs import JobKind
from shared.domain.outgoing import OutgoingMessage
from shared.domain.pricing import PriceRow, worst_case_usd
from shared.domain.rollout import Arm
from shared.domain.routes import Candidate
from shared.messages.commands import EmbedTexts
from shared.ports.admission import HeldUp

_JOBS_EXCHANGE = "jobs"
_A_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Order:
    """A command and the queue it came by."""

    command: EmbedTexts
    queue: QueueName

    @property
    def caller(self) -> Caller:
        """Return who is behind the job."""
        command = self.command
        return Caller(command.user_id, command.key_id, command.tier, scopes=frozenset())

    @property
    def message(self) -> OutgoingMessage:
        """Return the command as it goes back to its queue."""
        return OutgoingMessage(
            message_id=self.command.message_id,
            exchange=_JOBS_EXCHANGE,
            routing_key=self.queue,
            body=self.command.model_dump_json().encode(),
        )


@dataclass(slots=True)
class JobRun:
    """The batches still to embed, and in whose space.

    Attributes:
        targets: At least one; the first is asked.
        arm: The side of the rollout that the job was routed by.
        batches: The first is next.
        is_held: Whether the job's lease is ours.
        has_stored: Whether a batch of this run has its vectors.
        is_diverted: Whether the cheaper target is asked first, where that is free to choose.
        held_until: How long the delivery is held for a provider; None while it is not.
        passed_over: Who was not asked since the last call, though it was their turn.
    """

    order: Order
    work: EmbeddingWork
    targets: Sequence[Target]
    arm: Arm
    batches: list[Batch] = field(init=False)
    is_held: bool = False
    has_stored: bool = False
    is_diverted: bool = False
    held_until: datetime | None = None
    passed_over: list[PassedOver] = field(default_factory=list[PassedOver])

    def __post_init__(self) -> None:
        self.batches = [*batches_of(self.work.texts, self.target.limits)]

    @property
    def target(self) -> Target:
        """Return who is asked now."""
        return self.targets[0]

    @property
    def has_next_target(self) -> bool:
        """Tell whether another target may take what is left.

        An ingestion's vectors may lie in several spaces, a client's result may not.
        """
        may_mix = self.order.command.job_kind is JobKind.INGEST
        return len(self.targets) > 1 and (may_mix or not self.has_stored)

    @property
    def tokens(self) -> int:
        """Return how many tokens the next batch has."""
        return sum(text.tokens for text in self.batches[0])

    def pass_over(self, held_up: HeldUp, now: datetime) -> None:
        """Note once that the target is let alone for now."""
        space = self.target.space
        if all((p.provider, p.model) != (space.provider, space.model) for p in self.passed_over):
            self.passed_over.append(PassedOver(space.provider, space.model, held_up.code, now))

    def price_anew(self, price_of: Callable[[Candidate], PriceRow]) -> None:
        """Let the next batch cost what its model costs now: a job may last beyond midnight."""
        first, *others = self.targets
        now = price_of(first.candidate)
        self.targets = [replace(first, price=now), *others]

    def batch_stored(self) -> None:
        """Go on to the next batch."""
        self.batches = self.batches[1:]
        self.has_stored = True
        self.passed_over.clear()

    def halve_batch(self) -> None:
        """Embed the batch as two."""
        self.batches = [*halves_of(self.batches[0]), *self.batches[1:]]

    def next_target(self) -> None:
        """Embed what is left in the next target's space."""
        self.targets = self.targets[1:]
        left = [text for batch in self.batches for text in batch]
        self.batches = [*batches_of(left, self.target.limits)]

    def divert(self) -> None:
        """Ask the cheaper target first, unless vectors of this job lie in a space already."""
        self.is_diverted = True
        if self.work.space_id is None and not self.has_stored:
            cheapest_first = sorted(self.targets, key=lambda target: _token_usd(target.price))
            self.targets = [
                replace(target, is_fallback=position > 0)
                for position, target in enumerate(cheapest_first)
            ]
            left = [text for batch in self.batches for text in batch]
            self.batches = [*batches_of(left, self.target.limits)]


def _token_usd(price: PriceRow) -> Decimal:
    return worst_case_usd(price, _A_MILLION, 0)
