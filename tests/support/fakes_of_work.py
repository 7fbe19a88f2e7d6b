"""Jobs, keys and the outbox's other end, in memory."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

import orjson
from pydantic import JsonValue

from services.api.use_cases.watching import Missed, Watch
from shared.domain.access import ApiKey, Caller
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.ids import JobId, KeyId, UserId
from shared.domain.jobs import JobStatus
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.domain.views import JobView, StreamState
from shared.domain.work import IdempotencyConflict, NewJob, SubmitOutcome, Submitted, queued_view


class MemoryJobs:
    """Implements `JobRepository`; tests move jobs on by `set`."""

    def __init__(self) -> None:
        self.submitted: list[NewJob] = []
        self.states: dict[JobId, StreamState] = {}
        self.owners: dict[JobId, UserId] = {}
        self.is_away = False

    async def submit(self, job: NewJob) -> SubmitOutcome:
        self._answer()
        for earlier in self.submitted:
            same_key = earlier.idempotency_key == job.idempotency_key is not None
            if same_key and earlier.caller.user_id == job.caller.user_id:
                if earlier.request_hash == job.request_hash:
                    return Submitted(earlier.id, None)
                return IdempotencyConflict(earlier.id)
        self.submitted.append(job)
        self.owners[job.id] = job.caller.user_id
        self.states[job.id] = StreamState(queued_view(job), 0, "")
        return Submitted(job.id, OutboxRow(len(self.submitted), job.command))

    async def get(self, job_id: JobId, user_id: UserId) -> JobView | None:
        state = await self.stream_state(job_id, user_id)
        return None if state is None else state.job

    async def list_of_user(
        self, user_id: UserId, *, status: str | None, limit: int, after: JobId | None
    ) -> Sequence[JobView]:
        self._answer()
        mine = [
            state.job
            for job_id, state in sorted(self.states.items(), reverse=True)
            if self.owners[job_id] == user_id
            and (status is None or state.job.status == status)
            and (after is None or job_id < after)
        ]
        return mine[:limit]

    async def cancel(
        self, job_id: JobId, user_id: UserId, frame: OutgoingMessage
    ) -> Sequence[OutboxRow] | None:
        view = await self.get(job_id, user_id)
        if view is None or view.status is not JobStatus.QUEUED:
            return None
        self.set(job_id, status=JobStatus.CANCELLED)
        return [OutboxRow(1, frame)]

    async def stream_state(self, job_id: JobId, user_id: UserId) -> StreamState | None:
        self._answer()
        return self.states.get(job_id) if self.owners.get(job_id) == user_id else None

    def set(self, job_id: JobId, *, status: JobStatus) -> None:
        state = self.states[job_id]
        self.states[job_id] = replace(state, job=replace(state.job, status=status))

    def finish(self, job_id: JobId, result: JsonValue) -> None:
        state = self.states[job_id]
        text = orjson.dumps(result).decode()
        job = replace(state.job, status=JobStatus.SUCCEEDED, result_json=text)
        self.states[job_id] = replace(state, job=job)

    def put(self, user_id: UserId, state: StreamState) -> None:
        self.owners[state.job.id] = user_id
        self.states[state.job.id] = state

    def _answer(self) -> None:
        if self.is_away:
            raise DatabaseUnavailableError("the database did not answer")


class MemoryKeys:
    """Implements `KeyRepository`."""

    def __init__(self) -> None:
        self.keys: dict[bytes, ApiKey] = {}
        self.lookups = 0

    async def create(self, key: ApiKey, secret_hash: bytes) -> None:
        self.keys[secret_hash] = key

    async def find(self, secret_hash: bytes) -> Caller | None:
        self.lookups += 1
        key = self.keys.get(secret_hash)
        return None if key is None else Caller(key.user_id, key.id, key.tier, key.scopes)

    async def all(self) -> Sequence[ApiKey]:
        return list(self.keys.values())

    async def revoke(self, key_id: KeyId) -> bool:
        hashes = [secret for secret, key in self.keys.items() if key.id == key_id]
        for secret in hashes:
            del self.keys[secret]
        return bool(hashes)


class RecordingRelay:
    """Implements `CommittedMessages`."""

    def __init__(self) -> None:
        self.batches: list[Sequence[OutboxRow]] = []

    async def flush(self, rows: Sequence[OutboxRow]) -> None:
        self.batches.append(rows)

    @property
    def rows(self) -> list[OutboxRow]:
        return [row for batch in self.batches for row in batch]


class MemoryWatches:
    """Implements `Watches`; tests reach each watch through `open`."""

    def __init__(self) -> None:
        self.open: list[Watch] = []
        self.expected: list[JobId] = []
        self.accepted: NewJob | None = None

    def wake(self) -> None:
        for watch in self.open:
            watch.miss(Missed.RECONNECT)

    def expect(self, job: NewJob) -> None:
        self.expected.append(job.id)

    @asynccontextmanager
    async def watch(self, job_id: JobId) -> AsyncGenerator[Watch]:
        del job_id
        watch = Watch(self.accepted)
        self.open.append(watch)
        try:
            yield watch
        finally:
            self.open.remove(watch)
