"""Gates on a whole stack; no other test of the stack hands in premium chats."""

from collections.abc import AsyncIterator
from decimal import Decimal

import httpx
import pytest
from pydantic import JsonValue

from services.api.schemas.alerts import AlertView
from services.api.schemas.jobs import JobPage
from tests.support.books import balanced_books
from tests.support.stack_client import StackClient, right_answer, text_of
from tests.support.stacks import RunningStack
from tests.support.waiting import wait_until

pytestmark = pytest.mark.e2e

TIER = "premium"
QUEUE = "chat.premium"
SCOPE = "tier:premium"


@pytest.fixture
async def open_gate(client: StackClient) -> AsyncIterator[None]:
    """Leave the queue as it was found."""
    yield
    await client.move_gate(QUEUE, "resume")


@pytest.mark.usefixtures("open_gate")
async def test_a_paused_queue_takes_jobs_that_wait_with_a_reason(client: StackClient) -> None:
    await client.move_gate(QUEUE, "pause")

    async def is_paused() -> bool:
        return (await client.queue(QUEUE)).actual == "paused"

    await wait_until(is_paused)
    job_id = await client.submit("Will I wait?", tier=TIER)

    async def is_waiting() -> bool:
        return (await client.queue(QUEUE)).ready == 1

    await wait_until(is_waiting)
    assert await _waits_for(client, job_id, "queue_paused")
    assert (await client.job(job_id, tier=TIER)).attempts == []
    await client.move_gate(QUEUE, "resume")
    job = await client.finished(job_id, tier=TIER)
    assert text_of(job) == right_answer("Will I wait?")
    assert len(job.attempts) == 1


@pytest.mark.usefixtures("open_gate")
async def test_a_closed_queue_refuses_with_a_time_to_come_back(client: StackClient) -> None:
    await client.move_gate(QUEUE, "close")

    async def is_refused() -> bool:
        answer = await _asked(client)
        return answer.status_code == 503 and "retry-after" in answer.headers

    await wait_until(is_refused)
    assert (await _asked(client)).json()["error"]["code"] == "queue_closed"
    await client.move_gate(QUEUE, "resume")

    async def is_accepted() -> bool:
        return (await _asked(client)).status_code == 202

    await wait_until(is_accepted)
    for job_id in await _unfinished(client):
        await client.finished(job_id, tier=TIER)


async def test_a_crossed_threshold_pauses_and_a_raised_one_reopens(
    stack: RunningStack, client: StackClient
) -> None:
    spent = (await client.budget("global")).spent_usd
    await client.put_budget("global", _pausing_at(spent + Decimal("0.0000001")))
    first = await client.finished(await client.submit("Who pays?", tier=TIER), tier=TIER)

    async def is_paused() -> bool:
        return (await client.queue(QUEUE)).actual == "paused"

    await wait_until(is_paused)
    waiting = await client.submit("Who waits?", tier=TIER)
    assert await _waits_for(client, waiting, "budget")
    assert (await client.queue(QUEUE)).actor == "budget"
    await client.put_budget("global", _pausing_at(Decimal(1000)))
    job = await client.finished(waiting, tier=TIER)
    assert text_of(job) == right_answer("Who waits?")
    await balanced_books(stack, client, [first.id, waiting])


async def test_a_hard_limit_parks_jobs_and_a_raised_one_frees_them(
    stack: RunningStack, client: StackClient
) -> None:
    await client.put_budget(SCOPE, {"window": "day", "limit_usd": "0"})
    waiting = await client.submit("Is there room?", tier=TIER)
    assert await _waits_for(client, waiting, "budget")
    assert (await client.job(waiting, tier=TIER)).attempts == []
    await client.put_budget(SCOPE, {"window": "day", "limit_usd": "1000"})
    job = await client.finished(waiting, tier=TIER)
    assert text_of(job) == right_answer("Is there room?")
    await balanced_books(stack, client, [waiting])


async def test_a_closed_scope_refuses_its_own_jobs_while_others_are_taken(
    client: StackClient,
) -> None:
    spent = (await client.finished(await client.submit("Who pays?", tier=TIER), tier=TIER)).cost_usd
    assert spent > 0
    closing: JsonValue = {"at_usd": "0", "action": "close"}
    await client.put_budget(SCOPE, {"window": "day", "thresholds": [closing]})

    async def is_refused() -> bool:
        return (await _asked(client)).status_code == 429

    await wait_until(is_refused)
    refused = await _asked(client)
    assert refused.json()["error"]["code"] == "budget_exceeded"
    assert refused.headers["x-should-retry"] == "false"
    assert int(refused.headers["retry-after"]) > 0
    await client.finished(await client.submit("Am I taken?"))
    await client.put_budget(SCOPE, {"window": "day"})

    async def is_accepted() -> bool:
        return (await _asked(client)).status_code == 202

    await wait_until(is_accepted)
    for job_id in await _unfinished(client):
        await client.finished(job_id, tier=TIER)


async def test_a_test_alert_goes_through_every_channel(client: StackClient) -> None:
    answer = await client.http.post(
        f"{client.ready.api}/v1/admin/alerts/test", headers=client.admin_login
    )
    told = AlertView.model_validate_json(answer.content)
    assert [(one.channel, one.state) for one in told.deliveries] == [("log", "delivered")]


def _pausing_at(usd: Decimal) -> dict[str, JsonValue]:
    threshold: JsonValue = {"at_usd": f"{usd:f}", "action": "pause", "queues": [QUEUE]}
    return {"window": "day", "thresholds": [threshold]}


async def _waits_for(client: StackClient, job_id: str, reason: str) -> bool:
    """Return once a queued job says so: the API reads gates once a second."""

    async def says_so() -> bool:
        waiting = (await client.job(job_id, tier=TIER)).waiting
        return waiting is not None and waiting.reason == reason

    await wait_until(says_so)
    return True


async def _asked(client: StackClient) -> httpx.Response:
    body = {"messages": [{"role": "user", "content": "Am I late?"}]}
    url = f"{client.ready.api}/v1/chat/jobs"
    return await client.http.post(url, json=body, headers=client.login(TIER))


async def _unfinished(client: StackClient) -> list[str]:
    answer = await client.http.get(
        f"{client.ready.api}/v1/jobs?limit=100", headers=client.login(TIER)
    )
    jobs = JobPage.model_validate_json(answer.content).data
    return [one.id for one in jobs if one.status in {"queued", "running"}]
