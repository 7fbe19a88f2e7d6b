"""Many workers against one rate limit: the provider sees no more than it allows, hardly less."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.chaos.sizes import ChaosChoice
from tests.support.books import balanced_books
from tests.support.stack_client import StackClient
from tests.support.stacks import ExtraProcess, RunningStack, extra_process

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(600)]

_MODEL = "@cf/meta/llama-3.1-8b-instruct-fast"
_ROUTING = Path(__file__).with_name("faulty_routing.toml")


@dataclass(frozen=True, slots=True)
class Size:
    """How many workers share which limit, and for how many seconds' worth of jobs."""

    workers: int
    requests_per_minute: int
    seconds: int


SIZES = {"small": Size(3, 600, 12), "full": Size(10, 300, 80)}


class Requests(BaseModel):
    """What the simulator saw."""

    total: int
    refused: int
    by_second: list[tuple[int, int]]
    most_in_a_minute: int


@pytest.fixture
def size() -> Size:
    return SIZES[ChaosChoice().size]


@pytest.fixture
async def workers(
    crash_stack: RunningStack, size: Size, tmp_path: Path
) -> AsyncGenerator[list[ExtraProcess]]:
    """Run workers that keep the limit, with nobody to fall back on."""
    limit = f'provider = "cloudflare"\nrequests_per_minute = {size.requests_per_minute}\n'
    routing = tmp_path / "routing.toml"
    routing.write_text(f"{_ROUTING.read_text('utf-8')}\n[[limits]]\n{limit}", "utf-8")
    settings = {"SLUICEWAY_ROUTING": str(routing), "SLUICEWAY_RATE_LIMITS": "true"}
    module = "services.inference_worker.main"
    async with AsyncExitStack() as held:
        starting = [
            held.enter_async_context(extra_process(crash_stack, f"limited-{n}", module, **settings))
            for n in range(size.workers)
        ]
        yield [await one for one in starting]


@pytest.mark.usefixtures("workers", "aggregator")
async def test_workers_keep_a_limit_together(
    crash_stack: RunningStack, client: StackClient, size: Size
) -> None:
    await client.misbehave("cloudflare", requests_per_minute=size.requests_per_minute)
    await client.http.delete(f"{client.ready.simulator}/_requests")
    count = size.requests_per_minute * size.seconds // 60
    job_ids = [
        await one for one in asyncio.as_completed([client.submit(f"Say {n}") for n in range(count)])
    ]
    jobs = await asyncio.gather(
        *(client.finished(one, seconds=size.seconds * 2 + 60) for one in job_ids)
    )
    seen = await _requests(client)
    per_minute = _pace(seen)
    print(  # noqa: T201 - `make chaos` shows the figures
        f"\n{size.workers} workers, {count} jobs, limit {size.requests_per_minute} a minute: "
        f"{per_minute:.0f} a minute ({per_minute / size.requests_per_minute:.1%} of it), "
        f"most in any minute {seen.most_in_a_minute}, refused {seen.refused}"
    )
    assert seen.refused == 0
    assert seen.most_in_a_minute <= size.requests_per_minute
    assert per_minute >= 0.95 * size.requests_per_minute
    assert {len(job.attempts) for job in jobs} == {1}
    await balanced_books(crash_stack, client, job_ids)


async def _requests(client: StackClient) -> Requests:
    answer = await client.http.get(
        f"{client.ready.simulator}/_requests", params={"provider": "cloudflare", "model": _MODEL}
    )
    return Requests.model_validate_json(answer.raise_for_status().content)


def _pace(seen: Requests) -> float:
    """Return the calls a minute between the first second and the last, neither of them whole."""
    whole = seen.by_second[1:-1]
    return sum(count for _, count in whole) / (whole[-1][0] - whole[0][0] + 1) * 60
