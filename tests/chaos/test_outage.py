"""Cloudflare goes down under load and comes back: no job fails, and nobody storms it."""

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from statistics import quantiles

import pytest
from pydantic import BaseModel

from services.api.schemas.jobs import JobBody
from tests.support.books import balanced_books
from tests.support.stack_client import StackClient
from tests.support.stacks import RunningStack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

IN_FLIGHT = 50
_LATENCY_MS = 400
_DOWN_SECONDS = 8.0
_RECOVERY_SECONDS = 40.0
_MILLISECOND = timedelta(milliseconds=1)


class Requests(BaseModel):
    """What the simulator saw of Cloudflare's calls."""

    by_second: list[tuple[int, int]]

    def between(self, begin: float, end: float) -> list[int]:
        """Return the calls of each whole second."""
        counts = dict(self.by_second)
        return [counts.get(second, 0) for second in range(int(begin) + 1, int(end))]


async def test_an_outage_fails_no_job_and_the_return_is_no_storm(
    whole_stack: RunningStack, whole_client: StackClient
) -> None:
    client, began = whole_client, time.time()
    for provider in ("cloudflare", "openai"):
        await client.misbehave(provider, latency_ms=_LATENCY_MS)
    async with _load(client) as job_ids:
        await wait_until(lambda: time.time() > began + 6, 10)
        await client.misbehave("cloudflare", mode="down")
        down_at = time.time()
        await wait_until(lambda: time.time() > down_at + _DOWN_SECONDS, _DOWN_SECONDS + 5)
        await client.misbehave("cloudflare", mode="ok")
        back_at = time.time()
        usual = max((await _requests(client)).between(began, down_at))
        await wait_until(
            lambda: _is_busy(client, back_at, usual), _RECOVERY_SECONDS, poll_seconds=0.5
        )
    returning = (await _requests(client)).between(back_at, time.time())
    jobs = await asyncio.gather(*(client.finished(one) for one in job_ids))
    added = [_added_ms(job) for job in jobs if job.attempts[0].outcome == "skipped"]
    failed = sum(one.outcome == "failed" for job in jobs for one in job.attempts)
    p95 = quantiles(added, n=20)[-1]
    print(  # noqa: T201 - `make chaos` shows the figures
        f"\n{len(jobs)} jobs with {IN_FLIGHT} in flight; {failed} calls failed, then {len(added)} "
        f"jobs passed Cloudflare over, which took p95 {p95:.1f} ms; its calls a second, usually "
        f"{usual}, once it was back: {returning}"
    )
    assert {job.status for job in jobs} == {"succeeded"}
    assert len(added) > IN_FLIGHT
    assert failed <= 3 * IN_FLIGHT
    assert p95 < 20
    first = next(number for number, count in enumerate(returning) if count)
    assert sum(returning[first : first + 2]) <= usual / 2
    assert max(returning) <= usual * 1.5
    await balanced_books(whole_stack, client, job_ids)


@asynccontextmanager
async def _load(client: StackClient) -> AsyncGenerator[list[str]]:
    """Keep so many jobs in flight for the time of the block."""
    job_ids: list[str] = []
    users = [asyncio.create_task(_ask_on(client, job_ids)) for _ in range(IN_FLIGHT)]
    yield job_ids
    for user in users:
        user.cancel()
    with suppress(asyncio.CancelledError):
        await asyncio.gather(*users)


async def _ask_on(client: StackClient, job_ids: list[str]) -> None:
    while True:
        job_id = await client.submit("Say something about water")
        job_ids.append(job_id)
        url = f"{client.ready.api}/v1/jobs/{job_id}/events"
        async with client.http.stream("GET", url, headers=client.login("paid")) as answer:
            async for _ in answer.aiter_raw():
                pass


async def _is_busy(client: StackClient, since: float, usual: int) -> bool:
    return max((await _requests(client)).between(since, time.time()), default=0) >= usual * 0.7


async def _requests(client: StackClient) -> Requests:
    url = f"{client.ready.simulator}/_requests"
    answer = await client.http.get(url, params={"provider": "cloudflare"})
    return Requests.model_validate_json(answer.raise_for_status().content)


def _added_ms(job: JobBody) -> float:
    """Return how long it took from passing Cloudflare over to OpenAI's turn."""
    passed_over, asked = job.attempts[:2]
    return (asked.started_at - passed_over.started_at) / _MILLISECOND
