"""Accepts chat jobs."""

from hashlib import sha256

import orjson

from services.api.schemas.chat import ChatJobBody
from services.api.schemas.jobs import JobAccepted
from services.api.use_cases.chat_requests import prompt_bound, require_sound
from services.api.use_cases.submitting import JOBS_EXCHANGE, Acceptance
from shared.domain.access import Caller
from shared.domain.catalog import Operation, Tier
from shared.domain.gates import CHAT_FREE, CHAT_PAID, CHAT_PREMIUM
from shared.domain.ids import JobId, QueueName
from shared.domain.jobs import JobKind
from shared.domain.outgoing import OutgoingMessage
from shared.domain.work import NewJob
from shared.messages.commands import CompleteChat
from shared.ports.clock import Ids

QUEUE_BY_TIER: dict[Tier, QueueName] = {
    Tier.FREE: CHAT_FREE,
    Tier.PAID: CHAT_PAID,
    Tier.PREMIUM: CHAT_PREMIUM,
}
_WHAT_WORKERS_NEED = {
    "messages",
    "max_tokens",
    "temperature",
    "tools",
    "tool_choice",
    "response_format",
}


class SubmitChat:
    """Turns a chat request into a durable job. Idempotent by (user, idempotency key)."""

    def __init__(self, acceptance: Acceptance, ids: Ids) -> None:
        self._acceptance = acceptance
        self._ids = ids

    async def __call__(
        self, caller: Caller, request: ChatJobBody, idempotency_key: str | None
    ) -> JobAccepted:
        """Return the accepted job.

        Raises:
            RefusedError: Messages, tools, model, deadline, gate or idempotency key stand against
                it.
            DatabaseUnavailableError: It is unknown whether the job exists.
        """
        require_sound(request)
        self._acceptance.require_model(caller, Operation.CHAT, request.model)
        self._acceptance.require_future(request.deadline)
        return await self._acceptance.accept(self._job(caller, request, idempotency_key))

    def _job(self, caller: Caller, request: ChatJobBody, idempotency_key: str | None) -> NewJob:
        job_id = JobId(self._ids.new("job"))
        queue = QUEUE_BY_TIER[caller.tier]
        bound = prompt_bound(request)
        command = CompleteChat(
            message_id=self._ids.new("msg"),
            correlation_id=job_id,
            occurred_at=self._acceptance.clock.now(),
            job_id=job_id,
            user_id=caller.user_id,
            key_id=caller.key_id,
            tier=caller.tier,
            model=request.model,
            input_tokens_bound=bound,
            max_output_tokens=request.max_tokens,
            on_interrupt=request.on_interrupt,
            deadline=request.deadline,
        )
        return NewJob(
            id=job_id,
            caller=caller,
            kind=JobKind.CHAT,
            queue=queue,
            model=request.model,
            request_json=request.model_dump_json(
                include=_WHAT_WORKERS_NEED, exclude_none=True, by_alias=True
            ),
            request_hash=sha256(b"chat:" + request.model_dump_json().encode()).digest(),
            input_tokens_bound=bound,
            max_output_tokens=request.max_tokens,
            on_interrupt=request.on_interrupt,
            deadline=request.deadline,
            idempotency_key=idempotency_key,
            metadata_json=_json(request.metadata),
            created_at=command.occurred_at,
            command=OutgoingMessage(
                command.message_id, JOBS_EXCHANGE, queue, command.model_dump_json().encode()
            ),
        )


def _json(value: object) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
