"""One job of each kind under a fault: how its attempts ended, and what its client saw."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pydantic import JsonValue

from services.api.schemas.jobs import JobAccepted, JobBody
from shared.domain.jobs import FINAL_STATUSES
from shared.messages.frames import FRAME, Frame, JobDelta, JobFailed, JobReset, JobStatusFrame
from tests.support.stack_client import StackClient

_PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.05
KINDS = ("chat stream", "chat plain", "embed")
TIERS = {"fallback": "free", "alone": "paid"}
_BODIES: dict[str, tuple[str, dict[str, JsonValue]]] = {
    "chat stream": (
        "chat",
        {"messages": [{"role": "user", "content": "Tell me about queues, gates and water."}]},
    ),
    "chat plain": (
        "chat",
        {
            "messages": [{"role": "user", "content": "Tell me about queues, as JSON."}],
            "response_format": {"type": "json_object"},
        },
    ),
    "embed": ("embeddings", {"input": ["a text", "another one"]}),
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of one job.

    Attributes:
        attempts: Each as `outcome`, or as `failed:code`; who answered in the end.
        frames: The client's, without deltas.
        state: The job's status, or why it waits.
    """

    job_id: str
    attempts: str
    frames: str
    state: str

    def __str__(self) -> str:
        return f"{self.attempts} | {self.frames} | {self.state}"


async def job_under_fault(client: StackClient, kind: str, tier: str) -> Seen:
    """Hand in a job and follow it to its end, or until it waits for a provider."""
    path, body = _BODIES[kind]
    answer = await client.http.post(
        f"{client.ready.api}/v1/{path}/jobs", json=body, headers=client.login(tier)
    )
    assert answer.status_code == 202, answer.text
    job_id = JobAccepted.model_validate_json(answer.content).id
    frames: list[Frame] = []
    watching = asyncio.create_task(_watch(client, job_id, tier, frames))
    async with asyncio.timeout(_PATIENCE_SECONDS):
        job = await _over_or_waiting(client, job_id, tier)
        if job.status in FINAL_STATUSES:
            await watching
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    return Seen(job_id, _attempts(job), " ".join(_in_words(frames)) or "-", _state(job))


async def _watch(client: StackClient, job_id: str, tier: str, frames: list[Frame]) -> None:
    url = f"{client.ready.api}/v1/jobs/{job_id}/events"
    async with client.http.stream("GET", url, headers=client.login(tier), timeout=None) as answer:
        async for line in answer.aiter_lines():
            frames += [FRAME.validate_json(line[5:])] if line.startswith("data:") else []


async def _over_or_waiting(client: StackClient, job_id: str, tier: str) -> JobBody:
    while True:
        job = await client.job(job_id, tier=tier)
        is_waiting = job.waiting is not None and job.waiting.reason == "provider_cooldown"
        if job.status in FINAL_STATUSES or is_waiting:
            return job
        await asyncio.sleep(_POLL_SECONDS)


def _attempts(job: JobBody) -> str:
    return " > ".join(
        f"{one.provider} {one.outcome}" + (f":{one.error.code}" if one.error else "")
        for one in job.attempts
    )


def _in_words(frames: Sequence[Frame]) -> Iterator[str]:
    """Name the frames that say how things stand; how the text is cut into deltas is chance."""
    for frame in frames:
        match frame:
            case JobStatusFrame() | JobDelta():
                pass
            case JobReset():
                yield f"reset:{frame.reason}"
            case JobFailed():
                yield f"failed:{frame.error.code}"
            case _:
                yield frame.type.removeprefix("job.")


def _state(job: JobBody) -> str:
    return "waits" if job.waiting else job.status
