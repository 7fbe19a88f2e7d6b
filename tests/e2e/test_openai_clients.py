"""OpenAI's unmodified SDK before a whole stack."""

from collections.abc import AsyncGenerator

import httpx2
import openai
import pytest
from openai import AsyncOpenAI

from tests.support.stack_client import StackClient, right_answer
from tests.support.stacks import RunningStack

pytestmark = pytest.mark.e2e

PROMPT = "Tell me about queues, gates and water."
WEATHER = "get_weather"
NO_PARAMETERS: dict[str, object] = {"type": "object", "properties": {}}


@pytest.fixture
async def sdk(stack: RunningStack) -> AsyncGenerator[AsyncOpenAI]:
    key = stack.ready.keys.paid
    async with AsyncOpenAI(api_key=key, base_url=f"{stack.ready.api}/v1", max_retries=0) as one:
        yield one


async def test_a_chat_is_completed_and_says_what_it_cost(
    sdk: AsyncOpenAI, client: StackClient
) -> None:
    raw = await sdk.chat.completions.with_raw_response.create(
        model="auto", messages=[{"role": "user", "content": PROMPT}]
    )
    completion = raw.parse()
    job = await client.job(raw.headers["x-sluiceway-job-id"])
    assert completion.choices[0].message.content == right_answer(PROMPT)
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage is not None
    assert completion.usage.prompt_tokens == job.usage.input_tokens
    assert completion.usage.total_tokens > completion.usage.completion_tokens > 0
    assert raw.headers["x-sluiceway-provider"] == job.provider == "cloudflare"
    assert raw.headers["x-sluiceway-cost-usd"] == str(job.cost_usd)


async def test_a_stream_is_the_whole_answer_and_ends_with_its_usage(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": PROMPT}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    texts = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
    assert "".join(texts) == right_answer(PROMPT)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    about = (chunks[-1].model_extra or {})["sluiceway"]
    assert about["provider"] == "cloudflare"
    assert chunks[0].id == f"chatcmpl-{about['job_id']}"


async def test_a_stream_without_usage_still_says_what_it_cost(sdk: AsyncOpenAI) -> None:
    stream = await sdk.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": PROMPT}], stream=True
    )
    last = [chunk async for chunk in stream][-1]
    assert last.usage is None
    assert last.choices[0].finish_reason == "stop"
    assert float((last.model_extra or {})["sluiceway"]["cost_usd"]) > 0


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_tools_are_called(sdk: AsyncOpenAI, *, is_streamed: bool) -> None:
    answer = await sdk.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": f"call {WEATHER}"}],
        tools=[{"type": "function", "function": {"name": WEATHER, "parameters": NO_PARAMETERS}}],
        stream=is_streamed,
    )
    if isinstance(answer, openai.AsyncStream):
        deltas = [choice.delta async for chunk in answer for choice in chunk.choices]
        names = [c.function.name for d in deltas for c in d.tool_calls or [] if c.function]
    else:
        calls = answer.choices[0].message.tool_calls or []
        names = [call.function.name for call in calls if call.type == "function"]
    assert names == [WEATHER]


async def test_json_is_answered_on_request(sdk: AsyncOpenAI) -> None:
    completion = await sdk.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": PROMPT}],
        response_format={"type": "json_object"},
    )
    assert (completion.choices[0].message.content or "").startswith("{")


async def test_texts_are_embedded_as_numbers_and_as_base64(sdk: AsyncOpenAI) -> None:
    texts = ["a lock on a canal", "a gate in a dam"]
    encoded = await sdk.embeddings.create(model="auto", input=texts)
    numbers = await sdk.embeddings.create(model="auto", input=texts, encoding_format="float")
    assert [len(one.embedding) for one in encoded.data] == [1024, 1024]
    assert [one.index for one in numbers.data] == [0, 1]
    assert numbers.data[0].embedding == pytest.approx(encoded.data[0].embedding, abs=1e-6)
    assert encoded.usage.prompt_tokens > 0
    single = await sdk.embeddings.create(model="auto", input=texts[0])
    assert single.data[0].embedding == encoded.data[0].embedding


async def test_models_are_listed_and_shown(sdk: AsyncOpenAI) -> None:
    listed = [model.id async for model in sdk.models.list()]
    assert {"auto", "gpt-6-luna", "@cf/meta/llama-3.1-8b-instruct-fast"} <= set(listed)
    shown = await sdk.models.retrieve("gpt-6-luna")
    assert shown.owned_by == "openai"
    with pytest.raises(openai.NotFoundError):
        await sdk.models.retrieve("gpt-9")


async def test_errors_are_the_sdks_own(sdk: AsyncOpenAI) -> None:
    with pytest.raises(openai.UnprocessableEntityError) as unknown:
        await sdk.chat.completions.create(
            model="gpt-9", messages=[{"role": "user", "content": PROMPT}]
        )
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.UnprocessableEntityError) as several:
        await sdk.chat.completions.create(
            model="auto", messages=[{"role": "user", "content": PROMPT}], n=2
        )
    assert several.value.param == "n"
    with pytest.raises(openai.AuthenticationError):
        await sdk.with_options(api_key="sk-slw-wrong").models.list()


async def test_a_stream_that_breaks_is_an_error_and_is_paid(
    sdk: AsyncOpenAI, client: StackClient
) -> None:
    await client.misbehave("cloudflare", mode="cut_stream", after_chunks=2)
    stream = await sdk.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": PROMPT}], stream=True
    )
    job_id = stream.response.headers["x-sluiceway-job-id"]
    with pytest.raises(openai.APIError) as broken:
        async for _ in stream:
            pass
    assert broken.value.code == "interrupted"
    job = await client.finished(job_id)
    assert (job.status, len(job.attempts)) == ("failed", 1)
    assert job.cost_usd > 0


async def test_a_client_that_leaves_cancels_a_job_that_has_not_started(
    sdk: AsyncOpenAI, client: StackClient
) -> None:
    await client.move_gate("chat.paid", "pause")
    try:
        with pytest.raises(openai.APITimeoutError):
            await sdk.with_options(timeout=httpx2.Timeout(1.0)).chat.completions.create(
                model="auto",
                messages=[{"role": "user", "content": PROMPT}],
                extra_headers={"Idempotency-Key": "left-alone"},
            )
        job_id = await client.submit(PROMPT)
        jobs = await client.http.get(
            f"{client.ready.api}/v1/jobs?limit=2", headers=client.login("paid")
        )
        left = next(one for one in jobs.json()["data"] if one["id"] != job_id)
        assert (await client.finished(left["id"])).status == "cancelled"
    finally:
        await client.move_gate("chat.paid", "resume")
    assert (await client.finished(job_id)).status == "succeeded"
