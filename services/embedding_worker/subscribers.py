"""Turns deliveries into work: both embedding queues, each behind its gate."""

from collections.abc import Awaitable, Callable

from services.embedding_worker.use_cases.embed_texts import EmbedJob
from shared.domain.gates import EMBED_BULK, EMBED_INTERACTIVE
from shared.domain.ids import QueueName
from shared.messages.commands import EmbedTexts
from shared.messaging.worker_process import WorkerProcess


def subscribe(worker: WorkerProcess, embed: EmbedJob) -> None:
    """Let the worker consume the embedding queues.

    Idempotent by job id: work under way is joined, finished work is acknowledged.
    """

    def handler_of(queue: QueueName) -> Callable[[EmbedTexts], Awaitable[None]]:
        async def handle(job: EmbedTexts) -> None:
            async with worker.keeper.slot(queue):
                await worker.in_flight.run(job.job_id, lambda: embed(job, queue))

        return handle

    for queue in (EMBED_INTERACTIVE, EMBED_BULK):
        worker.subscribe(queue, handler_of(queue), EmbedTexts.model_validate_json)
