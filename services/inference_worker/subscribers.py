"""Turns deliveries into work: one queue per tier, each behind its gate."""

from services.inference_worker.use_cases.complete_chat import CompleteChatJob
from shared.domain.gates import CHAT_QUEUE_BY_TIER
from shared.messages.commands import CompleteChat
from shared.messaging.worker_process import WorkerProcess


def subscribe(worker: WorkerProcess, complete_chat: CompleteChatJob) -> None:
    """Let the worker consume the chat queues.

    Idempotent by job id: work under way is joined, finished work is acknowledged.
    """

    async def handle(job: CompleteChat) -> None:
        async with worker.keeper.slot(CHAT_QUEUE_BY_TIER[job.tier]):
            await worker.in_flight.run(job.job_id, lambda: complete_chat(job))

    for queue in CHAT_QUEUE_BY_TIER.values():
        worker.subscribe(queue, handle, CompleteChat.model_validate_json)
