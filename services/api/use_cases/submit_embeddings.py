"""Accepts embedding jobs whose vectors are the result."""

import orjson

from services.api.schemas.jobs import JobAccepted
from services.api.schemas.requests import EmbeddingsJobBody
from services.api.use_cases.embed_jobs import EmbedJobs, EmbedOrder
from services.api.use_cases.submitting import Acceptance
from shared.domain.access import Caller
from shared.domain.catalog import Operation
from shared.domain.gates import EMBED_INTERACTIVE
from shared.domain.jobs import JobKind


class SubmitEmbeddings:
    """Turns texts into a durable job. Idempotent by (user, idempotency key)."""

    def __init__(self, acceptance: Acceptance, embed_jobs: EmbedJobs) -> None:
        self._acceptance = acceptance
        self._embed_jobs = embed_jobs

    async def __call__(
        self, caller: Caller, request: EmbeddingsJobBody, idempotency_key: str | None
    ) -> JobAccepted:
        """Return the accepted job.

        Raises:
            RefusedError: Model, deadline, gate or idempotency key stand against it.
            DatabaseUnavailableError: It is unknown whether the job exists.
        """
        self._acceptance.require_model(caller, Operation.EMBED, request.model)
        self._acceptance.require_future(request.deadline)
        metadata = request.metadata
        order = EmbedOrder(
            caller=caller,
            kind=JobKind.EMBED,
            queue=EMBED_INTERACTIVE,
            texts=request.input,
            model=request.model,
            deadline=request.deadline,
            idempotency_key=idempotency_key,
            metadata_json=None if metadata is None else orjson.dumps(metadata).decode(),
        )
        return await self._acceptance.accept(self._embed_jobs.new(order))
