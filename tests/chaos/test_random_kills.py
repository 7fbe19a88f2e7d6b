"""kill -9 of random services under load: small in every run, large with SLUICEWAY_CHAOS=full."""

import asyncio
import random
from dataclasses import dataclass

import pytest

from tests.chaos.attacks import strike
from tests.chaos.load import Load
from tests.chaos.sizes import ChaosChoice
from tests.support.books import balanced_books, corrected_books
from tests.support.stack_client import StackClient
from tests.support.stacks import RunningStack

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1800)]

ERRORS = ("cut_stream", "no_capacity", "malformed", "down")
ERROR_SHARE = 0.2
VICTIMS = ("api-1", "inference-1", "inference-2", "embedding-1", "aggregator-1")


@dataclass(frozen=True, slots=True)
class Size:
    """How much happens."""

    kills: int
    jobs_per_kill: int
    patience_seconds: float


SIZES = {"small": Size(8, 8, 60.0), "full": Size(100, 10, 300.0)}


async def test_random_kills_lose_nothing_and_double_nothing(
    whole_stack: RunningStack, whole_client: StackClient
) -> None:
    choice = ChaosChoice()
    size = SIZES[choice.size]
    dice = random.Random(choice.seed)  # noqa: S311 - repeatable on purpose
    load = Load(whole_client, choice.seed)
    for kill in range(size.kills):
        await whole_client.misbehave(
            "cloudflare",
            tokens_per_second=25,
            mode=ERRORS[kill % len(ERRORS)],
            probability=ERROR_SHARE,
        )
        submitting = asyncio.create_task(load.submit(size.jobs_per_kill))
        # Anything between "not yet accepted" and "answered".
        await asyncio.wait({submitting}, timeout=dice.uniform(0, 0.6))
        await strike(whole_stack, dice.choice(VICTIMS))
        await submitting
    await load.results(size.patience_seconds)
    books = await balanced_books(whole_stack, whole_client, load.job_ids)
    total_usd = await corrected_books(whole_client)
    summary = f"{len(load.wanted)} jobs, {size.kills} kills, seed {choice.seed}: {books}"
    print(f"\n{summary}; corrected ${total_usd}")  # noqa: T201 - the point of a large run
