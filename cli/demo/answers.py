"""The parts of the API's answers that the demo reads; everything else is ignored."""

from decimal import Decimal

from pydantic import BaseModel, ConfigDict


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True)


class Accepted(_Answer):
    """A job that is durable."""

    id: str
    queue: str


class Waiting(_Answer):
    """Why a job waits."""

    reason: str
    detail: str


class AttemptError(_Answer):
    """Why an attempt failed."""

    code: str


class Attempt(_Answer):
    """One provider call of a job."""

    provider: str
    outcome: str
    error: AttemptError | None


class Job(_Answer):
    """A job."""

    id: str
    status: str
    queue: str
    waiting: Waiting | None
    attempts: tuple[Attempt, ...]


class Collection(_Answer):
    """A collection and where its vectors live."""

    name: str
    embedding: str
    dimensions: int


class IngestionAccepted(_Answer):
    """Documents that are durable."""

    ingestion_id: str


class Ingestion(_Answer):
    """How far documents have come."""

    status: str
    chunks: int
    embedded: int
    deduplicated: int
    failed: int
    cost_usd: Decimal

    @property
    def settled(self) -> int:
        """Return how many chunks need no more work."""
        return self.embedded + self.deduplicated + self.failed


class Match(_Answer):
    """A found document; `score` is the cosine similarity."""

    document_id: str
    score: float
    text: str


class Matches(_Answer):
    """What a search found, best first."""

    matches: tuple[Match, ...]


class Budget(_Answer):
    """A budget with its window's money."""

    spent_usd: Decimal
    held_usd: Decimal


class Queue(_Answer):
    """A queue: what is wanted of it and what its workers do."""

    name: str
    desired: str
    actual: str
    reason: str
    ready: int | None


class Queues(_Answer):
    """Every work queue."""

    data: tuple[Queue, ...]


class Usage(_Answer):
    """The sums of one provider and operation."""

    provider: str
    operation: str
    requests: int
    input_tokens: int
    output_tokens: int
    cost_usd: Decimal
    fallbacks: int
    errors: int
    p50_ms: int | None
    p95_ms: int | None


class UsageList(_Answer):
    """Sums by provider and operation."""

    data: tuple[Usage, ...]


class LedgerLine(_Answer):
    """One attempt's line in the ledger."""

    id: str
    cost_usd: Decimal


class LedgerPage(_Answer):
    """Ledger lines; `next` leads to the following page."""

    data: tuple[LedgerLine, ...]
    next: str | None


class Assumed(_Answer):
    """Attempts charged by assumption."""

    count: int


class Reconciliation(_Answer):
    """Whether attempts and ledger agree."""

    attempts_without_ledger: int
    ledger_without_attempt: int
    duplicate_entries: int
    open_holds: int
    expired_holds: int
    assumed: Assumed
    drift_usd: Decimal


class Bill(_Answer):
    """What the simulator would have billed."""

    total_usd: Decimal
    calls: int
