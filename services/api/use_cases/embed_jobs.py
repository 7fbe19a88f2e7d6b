"""How a job looks that embeds texts: for a client, for a search, or as a slice of an ingestion."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import orjson

from services.api.use_cases.submitting import JOBS_EXCHANGE
from shared.domain.access import Caller
from shared.domain.ids import JobId, QueueName
from shared.domain.jobs import JobKind, OnInterrupt
from shared.domain.outgoing import OutgoingMessage
from shared.domain.tokens import token_upper_bound
from shared.domain.work import NewJob
from shared.messages.commands import EmbedTexts
from shared.ports.clock import Clock, Ids


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOrder:
    """What to embed, for whom, and behind which queue.

    Attributes:
        texts: The texts; an ingestion keeps its own in its chunks.
        model: A model's name, or `auto`.
    """

    caller: Caller
    kind: JobKind
    queue: QueueName
    texts: Sequence[str]
    model: str
    deadline: datetime | None = None
    idempotency_key: str | None = None
    metadata_json: str | None = None


class EmbedJobs:
    """Makes embed jobs with their commands."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids = ids
        self._clock = clock

    def new(self, order: EmbedOrder) -> NewJob:
        """Return a job, not yet stored."""
        job_id = JobId(self._ids.new("job"))
        now = self._clock.now()
        keeps_texts = order.kind is JobKind.EMBED
        request = orjson.dumps({"input": list(order.texts)} if keeps_texts else {})
        return NewJob(
            id=job_id,
            caller=order.caller,
            kind=order.kind,
            queue=order.queue,
            model=order.model,
            request_json=request.decode(),
            request_hash=_request_hash(order, request),
            input_tokens_bound=sum(token_upper_bound(text) for text in order.texts),
            max_output_tokens=0,
            on_interrupt=OnInterrupt.RESTART,
            deadline=order.deadline,
            idempotency_key=order.idempotency_key,
            metadata_json=order.metadata_json,
            created_at=now,
            command=self._command(job_id, order, now),
        )

    def _command(self, job_id: JobId, order: EmbedOrder, now: datetime) -> OutgoingMessage:
        command = EmbedTexts(
            message_id=self._ids.new("msg"),
            correlation_id=job_id,
            occurred_at=now,
            job_id=job_id,
            user_id=order.caller.user_id,
            key_id=order.caller.key_id,
            tier=order.caller.tier,
            job_kind=order.kind,
            model=order.model,
            deadline=order.deadline,
        )
        body = command.model_dump_json().encode()
        return OutgoingMessage(command.message_id, JOBS_EXCHANGE, order.queue, body)


def _request_hash(order: EmbedOrder, request: bytes) -> bytes:
    deadline = "" if order.deadline is None else order.deadline.isoformat()
    rest = f"{order.kind}:{order.model}:{deadline}:{order.metadata_json}:"
    return sha256(rest.encode() + request).digest()
