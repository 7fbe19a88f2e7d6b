"""How stacks end: drained or killed, nothing of them runs on, and their home takes up again."""

import signal
import sys
from pathlib import Path

import pytest

from cli.local_stack.process_identity import ProcessIdentity, identify
from tests.support.books import balanced_books
from tests.support.stack_client import StackClient, right_answer, stack_client, text_of
from tests.support.stacks import RunningStack, running_stack
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SCALE = "api=1,inference=1,embedding=0,aggregator=1"
SHORT_LEASE = {"SLUICEWAY_LEASE_SECONDS": "1.5"}
PROMPT = "[[words=40]] Will I be finished?"


async def test_stacks_run_side_by_side_and_sigterm_lets_work_finish(
    stack: RunningStack, client: StackClient, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    async with running_stack(home, SCALE) as second, stack_client(second.ready) as other:
        alive = _identities(second)
        job_id = await _under_way(other)
        parked = await _parked(other)
        beside = await client.finished(await client.submit("Do you hear the other one?"))
        second.supervisor.signal(signal.SIGTERM)
        assert await second.supervisor.ended_within(60)
        assert second.supervisor.exit_status() == 0
        assert [one for one in alive if one.is_alive()] == []
    assert beside.status == "succeeded"
    assert not (set(_ports(stack)) & set(_ports(second)))
    async with running_stack(home, SCALE) as again, stack_client(again.ready) as other:
        job = await other.finished(job_id)
        await _freed(other, parked)
        books = await balanced_books(again, other, [job_id, parked])
    assert text_of(job) == right_answer(PROMPT)
    assert books.outcomes(job_id) == ["succeeded"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends orphans by itself")
async def test_nothing_outlives_a_killed_supervisor_and_its_home_takes_up_again(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    async with running_stack(home, SCALE, SHORT_LEASE) as stack, stack_client(stack.ready) as one:
        alive = _identities(stack)
        job_id = await _under_way(one)
        stack.supervisor.kill()
        await wait_until(lambda: not any(each.is_alive() for each in alive), 40)
    async with running_stack(home, SCALE, SHORT_LEASE) as again, stack_client(again.ready) as one:
        job = await one.finished(job_id)
        books = await balanced_books(again, one, [job_id])
    assert text_of(job) == right_answer(PROMPT)
    assert books.outcomes(job_id) == ["unknown", "succeeded"]


async def _under_way(client: StackClient) -> str:
    """Hand in a slow job and return once it is being answered."""
    await client.misbehave("cloudflare", tokens_per_second=25)
    job_id = await client.submit(PROMPT)

    async def is_running() -> bool:
        return (await client.job(job_id)).status == "running"

    await wait_until(is_running)
    return job_id


async def _parked(client: StackClient) -> str:
    """Hand in a job for which there is no money, and return once it says so."""
    await client.put_budget("tier:premium", {"window": "month", "limit_usd": "0"})
    job_id = await client.submit(PROMPT, tier="premium")

    async def says_so() -> bool:
        waiting = (await client.job(job_id, tier="premium")).waiting
        return waiting is not None and waiting.reason == "budget"

    await wait_until(says_so)
    return job_id


async def _freed(client: StackClient, job_id: str) -> None:
    """Raise the budget for which a job has waited through a restart."""
    waiting = await client.job(job_id, tier="premium")
    assert (waiting.status, waiting.attempts) == ("queued", [])
    await client.put_budget("tier:premium", {"window": "month", "limit_usd": "10"})
    job = await client.finished(job_id, tier="premium")
    assert text_of(job) == right_answer(PROMPT)


def _identities(stack: RunningStack) -> list[ProcessIdentity]:
    return [identify(name, pid) for name, pid in stack.pids().items()]


def _ports(stack: RunningStack) -> list[str]:
    ready = stack.ready
    addresses = (ready.api, ready.simulator or "", ready.database_url, ready.rabbitmq_url)
    return [one.rpartition(":")[2] for one in addresses]
