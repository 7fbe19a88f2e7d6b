"""The broker or the database goes away in the middle of load, politely or not."""

import asyncio
import signal

import pytest

from tests.chaos.attacks import strike
from tests.chaos.load import Load
from tests.support.books import balanced_books
from tests.support.servers import ServerChoice
from tests.support.stack_client import StackClient
from tests.support.stacks import RunningStack

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.skipif(
        ServerChoice().services != "local", reason="only a stack's own servers may be killed"
    ),
]

JOBS = 30


@pytest.mark.parametrize(
    ("server", "number"),
    [
        ("rabbitmq", signal.SIGKILL),
        ("rabbitmq", signal.SIGTERM),
        ("postgres", signal.SIGKILL),
        ("postgres", signal.SIGINT),
    ],
)
async def test_a_server_that_restarts_under_load_loses_nothing(
    whole_stack: RunningStack,
    whole_client: StackClient,
    server: str,
    number: signal.Signals,
) -> None:
    await whole_client.misbehave("cloudflare", tokens_per_second=60)
    load = Load(whole_client, seed=number)
    await load.submit(JOBS)
    submitting = asyncio.create_task(load.submit(JOBS))
    await strike(whole_stack, server, number)
    await submitting
    await load.results(seconds=60)
    await balanced_books(whole_stack, whole_client, load.job_ids)
