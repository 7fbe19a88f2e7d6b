import asyncio

import pytest

from tests.e2e.watching import Watched, socket_on, watched_by_events, watched_by_socket
from tests.support.stack_client import StackClient, right_answer, text_of

pytestmark = pytest.mark.e2e

SLOW = 30.0
"""Tokens a second: an answer takes a second or so."""
LONG = "[[words=60]] A long answer, so that there is time to leave and to come back, mä 👋."


async def test_an_answer_streams_over_a_websocket(client: StackClient) -> None:
    await client.misbehave("cloudflare", tokens_per_second=SLOW)
    watched = await watched_by_socket(client, await client.submit(LONG))
    assert watched.text == right_answer(LONG)
    assert watched.completed.result == {
        "message": {"role": "assistant", "content": watched.text},
        "finish_reason": "stop",
    }
    assert len(watched.deltas) > 5


async def test_an_answer_streams_over_server_sent_events(client: StackClient) -> None:
    await client.misbehave("cloudflare", tokens_per_second=SLOW)
    watched = await watched_by_events(client, await client.submit(LONG))
    assert watched.text == right_answer(LONG)
    assert watched.completed.provider == "cloudflare"


async def test_who_joins_late_gets_the_whole_answer(client: StackClient) -> None:
    await client.misbehave("cloudflare", tokens_per_second=SLOW)
    job_id = await client.submit(LONG)
    async with socket_on(client, job_id) as early, socket_on(client, job_id) as late:
        first = await early.watch(Watched(), until_length=60)
        first, second = await asyncio.gather(early.watch(first), late.watch(Watched()))
    assert first.text == second.text == right_answer(LONG)
    assert first.end == second.end


async def test_who_comes_back_goes_on_where_they_were(client: StackClient) -> None:
    await client.misbehave("cloudflare", tokens_per_second=SLOW)
    job_id = await client.submit(LONG)
    watched = Watched()
    for length in (40, 90, None):
        query = f"?after_offset={len(watched.text)}"
        if watched.attempt is not None:
            query += f"&after_attempt={watched.attempt}"
        async with socket_on(client, job_id, query) as socket:
            await socket.watch(watched, until_length=length)
    assert watched.resets == []
    assert watched.text == right_answer(LONG) == text_of(await client.job(job_id))
    assert watched.completed.job_id == job_id


async def test_who_comes_after_the_end_gets_it_all_again(client: StackClient) -> None:
    job = await client.finished(await client.submit(LONG))
    by_socket = await watched_by_socket(client, job.id)
    by_events = await watched_by_events(client, job.id)
    assert by_socket.text == by_events.text == right_answer(LONG)
    assert by_socket.completed == by_events.completed
    assert by_socket.completed.cost_usd == job.cost_usd


async def test_a_cut_answer_starts_again_at_the_fallback(client: StackClient) -> None:
    await client.misbehave("cloudflare", mode="cut_stream", tokens_per_second=SLOW, after_chunks=40)
    job_id = await client.submit(LONG)
    watched = await watched_by_socket(client, job_id)
    job = await client.job(job_id)
    assert [reset.attempt for reset in watched.resets] == [2]
    assert watched.text == right_answer(LONG)
    assert (watched.completed.provider, watched.completed.is_fallback) == ("openai", True)
    assert [(one.provider, one.outcome) for one in job.attempts] == [
        ("cloudflare", "failed"),
        ("openai", "succeeded"),
    ]
    assert job.cost_usd == sum(one.cost_usd for one in job.attempts) > 0


async def test_a_cut_answer_fails_if_its_client_wants_that(client: StackClient) -> None:
    await client.misbehave("cloudflare", mode="cut_stream", tokens_per_second=SLOW, after_chunks=40)
    job_id = await client.submit(LONG, on_interrupt="fail")
    watched = await watched_by_socket(client, job_id)
    job = await client.job(job_id)
    assert watched.failed.error.code == "interrupted"
    assert (job.status, len(job.attempts)) == ("failed", 1)
    assert job.cost_usd == job.attempts[0].cost_usd > 0
