"""Jobs for clients of OpenAI's API, who wait for the answer on the line.

Each call is a job like any other: queued, on the books, to be read later by its id. A client that
leaves cancels a job that has not started; one that has is paid for and goes on.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, suppress

from services.api.schemas.jobs import JobAccepted
from services.api.schemas.openai import (
    ChatCompletionBody,
    EmbeddingsBody,
    ModelBody,
    ModelListBody,
)
from services.api.schemas.requests import EmbeddingsJobBody
from services.api.use_cases.cursor import Cursor
from services.api.use_cases.following import STILL_WAITING, Following, FollowJob
from services.api.use_cases.openai_shapes import Answering
from services.api.use_cases.read_jobs import CancelJob
from services.api.use_cases.refusals import RefusedError, not_found
from services.api.use_cases.results import StoredEmbeddings
from services.api.use_cases.submit_chat import SubmitChat
from services.api.use_cases.submit_embeddings import SubmitEmbeddings
from shared.domain.access import Caller
from shared.domain.catalog import Operation
from shared.domain.ids import JobId
from shared.domain.jobs import OnInterrupt
from shared.domain.routing import AUTO, RoutingTable, models_on_offer
from shared.messages.frames import FRAME, TERMINAL_FRAMES, Frame


class Completions:
    """Submits jobs and follows them to their end."""

    def __init__(
        self,
        submit_chat: SubmitChat,
        submit_embeddings: SubmitEmbeddings,
        follow_job: FollowJob,
        cancel_job: CancelJob,
        vectors: StoredEmbeddings,
    ) -> None:
        self._submit_chat = submit_chat
        self._submit_embeddings = submit_embeddings
        self._follow_job = follow_job
        self._cancel_job = cancel_job
        self._vectors = vectors

    async def chat(
        self, caller: Caller, body: ChatCompletionBody, idempotency_key: str | None
    ) -> Answering:
        """Accept a chat. What a stream has shown cannot be taken back, so it ends if it breaks.

        Raises:
            RefusedError: As for any chat job.
            DatabaseUnavailableError: It is unknown whether the job exists.
        """
        interrupt = OnInterrupt.FAIL if body.stream else OnInterrupt.RESTART
        update = {
            "max_tokens": body.max_completion_tokens or body.max_tokens,
            "on_interrupt": interrupt,
        }
        job = await self._submit_chat(caller, body.model_copy(update=update), idempotency_key)
        options = body.stream_options
        return Answering(job.id, _seconds(job), body.model, bool(options and options.include_usage))

    async def embeddings(
        self, caller: Caller, body: EmbeddingsBody, idempotency_key: str | None
    ) -> JobAccepted:
        """Accept texts.

        Raises:
            RefusedError: As for any embeddings job.
            DatabaseUnavailableError: It is unknown whether the job exists.
        """
        texts = EmbeddingsJobBody(input=body.input, model=body.model)
        return await self._submit_embeddings(caller, texts, idempotency_key)

    def follow(self, caller: Caller, job_id: str) -> AbstractAsyncContextManager[Following]:
        """Open a job's frames."""
        return self._follow_job.open(caller.user_id, JobId(job_id), Cursor(JobId(job_id)))

    async def ended(self, caller: Caller, job_id: str, following: Following) -> None:
        """Cancel the job of a client that has left, unless it has started."""
        if following.was_left:
            with suppress(RefusedError):
                await self._cancel_job(caller, JobId(job_id))

    async def vectors(self, job_id: str) -> Mapping[int, bytes]:
        """Return an embeddings job's vectors by position."""
        found = await self._vectors.results(JobId(job_id))
        return {} if found is None else found[1]


class OfferedModels:
    """The models that a caller may ask for."""

    def __init__(self, routing: RoutingTable) -> None:
        self._routing = routing

    def all(self, caller: Caller) -> ModelListBody:
        """Return every name that works, with whoever serves it."""
        return ModelListBody(data=[*self._of(caller).values()])

    def one(self, caller: Caller, model: str) -> ModelBody:
        """Return one of them.

        Raises:
            RefusedError: The caller's tier is not offered such a model.
        """
        found = self._of(caller).get(model)
        if found is None:
            raise not_found("model", model)
        return found

    def _of(self, caller: Caller) -> Mapping[str, ModelBody]:
        owner_by_model = {
            candidate.model: candidate.provider
            for route in self._routing.routes.values()
            for candidate in route.every_candidate
        }
        names = [
            name
            for operation in Operation
            for name in models_on_offer(self._routing, caller.tier, operation)
        ]
        owners = {
            name: owner_by_model.get(self._routing.aliases.get(name, name), AUTO) for name in names
        }
        return {name: ModelBody(id=name, owned_by=owner) for name, owner in owners.items()}


async def frames_of(following: Following) -> AsyncIterator[Frame | None]:
    """Yield a job's frames one by one; None when nothing has happened for a while."""
    async for events in following.events():
        for event in events:
            yield None if event is STILL_WAITING else FRAME.validate_json(event.body)


async def last_frame(following: Following) -> Frame | None:
    """Return a job's last frame; None when nobody waits for it any more."""
    async for frame in frames_of(following):
        if isinstance(frame, TERMINAL_FRAMES):
            return frame
    return None


def _seconds(job: JobAccepted) -> int:
    return int(job.created_at.timestamp())
