"""The jobs a worker process is working on: each once, however often its message is delivered.

Work runs in a task of its own, not in the delivery's: a lost connection cancels every delivery's
handler, and must neither cancel a call that is being paid for nor start it a second time. While a
job is here its lease is extended.
"""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import timedelta

import structlog

from shared.domain.ids import JobId
from shared.messaging.rounds import Rounds
from shared.ports.work import AttemptRepository

_log = structlog.stdlib.get_logger(__name__)


class InFlightJobs:
    """One per worker process.

    Args:
        attempts: Where leases are.
        worker: Their owner.
        lease: How long one lasts; extended every third of it.
    """

    def __init__(self, attempts: AttemptRepository, *, worker: str, lease: timedelta) -> None:
        self._attempts = attempts
        self._worker = worker
        self._lease = lease
        self._tasks: dict[JobId, asyncio.Task[None]] = {}
        self._rounds = Rounds(f"leases:{worker}", lease / 3, self._extend)

    async def run(self, job_id: JobId, work: Callable[[], Coroutine[None, None, None]]) -> None:
        """Return when the job's work is done; joins work that is under way already.

        Raises what `work` raises. Cancelling the caller leaves the work running.
        """
        task = self._tasks.get(job_id)
        if task is None:
            task = asyncio.create_task(work(), name=f"job:{job_id}")
            self._tasks[job_id] = task
            task.add_done_callback(lambda done: self._forget(job_id, done))
        await asyncio.shield(task)

    @property
    def is_empty(self) -> bool:
        """Whether no work is under way."""
        return not self._tasks

    def start(self) -> None:
        """Begin to extend leases."""
        self._rounds.start()

    @property
    def is_alive(self) -> bool:
        """Whether leases are still extended; a process without that must be restarted."""
        return self._rounds.is_alive

    async def drain(self) -> None:
        """Wait for the work under way, whose deliveries may be gone."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        await self._rounds.drain()

    def _forget(self, job_id: JobId, done: asyncio.Task[None]) -> None:
        del self._tasks[job_id]
        if not done.cancelled() and (error := done.exception()) is not None:
            # Whoever still waits gets it as well; when nobody does, this line is its only trace.
            _log.info("job.work_ended_early", job_id=job_id, error=type(error).__name__)

    async def _extend(self) -> None:
        if self._tasks:
            await self._attempts.extend_leases(self._worker, [*self._tasks], self._lease)
