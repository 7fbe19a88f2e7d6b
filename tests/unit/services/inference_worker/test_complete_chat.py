from collections.abc import AsyncGenerator
from datetime import timedelta
from decimal import Decimal

import orjson
import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation
from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.gates import CHAT_PAID
from shared.domain.jobs import AttemptOutcome, OnInterrupt
from shared.domain.pricing import NEURON_USD
from shared.domain.provider_calls import ChatCall, ChatEvent, TextDelta
from shared.domain.retry import MAX_FAILED_ATTEMPTS
from shared.domain.usage import TokenUsage
from shared.domain.work import (
    JobContinues,
    JobFails,
    JobSucceeds,
    JobWaits,
)
from shared.messages.commands import CompleteChat
from shared.messages.frames import (
    FRAME,
    JobCompleted,
    JobDelta,
    JobFailed,
    JobReset,
)
from tests.support.chat_world import (
    ARM,
    BAD_REQUEST,
    DOWN,
    JOB_ID,
    WORKER,
    ChatWorld,
    claim,
    command,
)
from tests.support.fake_providers import BreaksOff, Refuses, Says, ScriptedChatModel

_INPUT_TOKENS = 6  # one word of two tokens and a message's four
_LLAMA_NEURONS = (_INPUT_TOKENS * Decimal(4119) + 2 * Decimal(34868)) / 1_000_000
_LLAMA_USD = _LLAMA_NEURONS * NEURON_USD
_LUNA_USD = (_INPUT_TOKENS * Decimal("0.1") + 2 * Decimal("0.5")) / 1_000_000


async def test_an_answer_is_streamed_stored_and_paid_for() -> None:
    world = ChatWorld()
    await world.complete_chat(command())
    (settlement,) = world.attempts.settlements
    assert isinstance(settlement.step, JobSucceeds)
    assert orjson.loads(settlement.step.result_json) == {
        "message": {"role": "assistant", "content": "Hello world"},
        "finish_reason": "stop",
    }
    assert settlement.result.outcome is AttemptOutcome.SUCCEEDED
    assert settlement.result.cost_usd == _LLAMA_USD
    assert settlement.result.neurons == _LLAMA_NEURONS
    assert settlement.result.provider_request_id == "request-1"
    deltas = [frame for frame in world.frames.frames if isinstance(frame, JobDelta)]
    assert [(delta.offset, delta.text) for delta in deltas] == [(0, "Hello")]
    assert world.calls == ["llama"]
    assert world.models[CLOUDFLARE].streams_open == 0


async def test_the_claim_holds_the_worst_case() -> None:
    world = ChatWorld()
    await world.complete_chat(command())
    (request,) = world.attempts.claims
    worst = (1000 * Decimal(4119) + 50 * Decimal(34868)) / 1_000_000 * NEURON_USD
    assert (request.hold_usd, request.worker) == (worst, WORKER)
    assert request.scopes == [
        "global",
        "tier:paid",
        "user:user-1",
        "key:key-1",
        "provider:cloudflare",
    ]


async def test_the_request_reaches_the_provider() -> None:
    world = ChatWorld(llama=Refuses(DOWN))
    await world.complete_chat(command())
    (call,) = world.models[OPENAI].calls
    assert [(m.role, m.content) for m in call.messages] == [("user", "hello")]
    assert (call.max_output_tokens, call.temperature) == (50, None)
    assert call.options == {"reasoning_effort": "none"}
    assert call.attempt_id == world.attempts.claims[1].attempt_id


async def test_the_usage_event_says_it_all() -> None:
    world = ChatWorld()
    await world.complete_chat(command())
    (event,) = world.usage
    (request,) = world.attempts.claims
    assert event.message_id == event.attempt_id == request.attempt_id
    assert (event.job_id, event.user_id, event.key_id) == (JOB_ID, "user-1", "key-1")
    assert (event.operation, event.provider, event.model) == (
        Operation.CHAT,
        CLOUDFLARE,
        "llama",
    )
    assert (event.input_tokens, event.output_tokens) == (_INPUT_TOKENS, 2)
    assert (event.cost_usd, event.hold_usd, event.neurons) == (
        _LLAMA_USD,
        request.hold_usd,
        _LLAMA_NEURONS,
    )
    assert (event.is_fallback, event.is_error, event.assumed) == (False, False, False)
    assert event.price_id == request.price_id


async def test_the_terminal_frame_adds_up_all_attempts() -> None:
    earlier = claim(3, cost_usd=Decimal(1), usage=TokenUsage(100, 10, Decimal(5)))
    world = ChatWorld([earlier])
    await world.complete_chat(command())
    frame = world.frames.frames[-1]
    assert isinstance(frame, JobCompleted)
    assert frame.attempt == 3
    assert frame.cost_usd == 1 + _LLAMA_USD
    assert (frame.usage.input_tokens, frame.usage.output_tokens) == (100 + _INPUT_TOKENS, 12)
    assert frame.usage.neurons == 5 + _LLAMA_NEURONS
    assert (frame.provider, frame.model, frame.is_fallback) == ("cloudflare", "llama", False)
    assert frame.latency_ms == 2000
    assert FRAME.validate_json(world.attempts.settlements[0].terminal_frame or b"") == frame


async def test_the_next_candidate_answers_when_one_fails() -> None:
    world = ChatWorld(llama=Refuses(DOWN))
    await world.complete_chat(command())
    first, second = world.attempts.settlements
    assert isinstance(first.step, JobContinues)
    assert (first.result.outcome, first.result.cost_usd) == (AttemptOutcome.FAILED, Decimal(0))
    assert first.result.error is not None
    assert first.result.error.code == "3040"
    assert isinstance(second.step, JobSucceeds)
    assert second.result.cost_usd == _LUNA_USD
    assert [event.is_fallback for event in world.usage] == [False, True]
    assert [event.is_error for event in world.usage] == [True, False]
    assert not [frame for frame in world.frames.frames if isinstance(frame, JobReset)]
    assert [request.is_fallback for request in world.attempts.claims] == [False, True]


async def test_a_stream_cut_midway_starts_again_elsewhere() -> None:
    world = ChatWorld(llama=BreaksOff("stream_cut", ("Bye",)), luna=Says(("Hello",)))
    await world.complete_chat(command())
    assert world.frames.frames[:-1] == [
        JobDelta(job_id=JOB_ID, attempt=1, offset=0, text="Bye"),
        JobReset(job_id=JOB_ID, attempt=2, reason="stream_cut"),
        JobDelta(job_id=JOB_ID, attempt=2, offset=0, text="Hello"),
    ]
    consumed = world.attempts.settlements[0].result
    assert (consumed.usage.output_tokens, consumed.cost_usd > 0) == (1, True)


async def test_a_client_may_rather_fail_than_start_again() -> None:
    world = ChatWorld(llama=BreaksOff())
    await world.complete_chat(command(OnInterrupt.FAIL))
    (settlement,) = world.attempts.settlements
    assert isinstance(settlement.step, JobFails)
    assert settlement.step.error.code == "interrupted"
    assert world.calls == ["llama"]


async def test_without_text_nothing_was_interrupted() -> None:
    world = ChatWorld(llama=Refuses(DOWN))
    await world.complete_chat(command(OnInterrupt.FAIL))
    assert isinstance(world.attempts.settlements[-1].step, JobSucceeds)


async def test_a_wrong_request_fails_without_asking_further() -> None:
    world = ChatWorld(llama=Refuses(BAD_REQUEST))
    await world.complete_chat(command())
    (settlement,) = world.attempts.settlements
    assert isinstance(settlement.step, JobFails)
    (frame,) = world.frames.frames
    assert isinstance(frame, JobFailed)
    assert (frame.error.code, frame.error.message) == ("5006", "the request is wrong")
    assert world.calls == ["llama"]


async def test_when_nobody_answers_the_job_waits() -> None:
    world = ChatWorld([claim()], llama=Refuses(DOWN))
    await world.complete_chat(command(model="llama"))
    (settlement,) = world.attempts.settlements
    assert isinstance(settlement.step, JobWaits)
    (message,) = world.sent_to("retry.5s")
    assert (message.routing_key, message.message_id) == (CHAT_PAID, "msg_1")
    assert CompleteChat.model_validate_json(message.body) == command(model="llama")


async def test_the_last_candidates_failure_lets_the_job_wait() -> None:
    world = ChatWorld(llama=Refuses(DOWN), luna=Refuses(DOWN))
    await world.complete_chat(command())
    assert [type(one.step) for one in world.attempts.settlements] == [JobContinues, JobWaits]


async def test_the_provider_says_how_long_to_wait() -> None:
    busy = ProviderFailure("429", "slow down", FailureAction.BACK_OFF, timedelta(hours=1))
    world = ChatWorld([claim()], llama=Refuses(busy))
    await world.complete_chat(command(model="llama"))
    (settlement,) = world.attempts.settlements
    delayed = settlement.messages[-1]
    assert delayed.message.exchange == "jobs"
    assert delayed.available_at == world.clock.now() + timedelta(hours=1)


async def test_after_too_many_failures_the_job_fails() -> None:
    last = claim(MAX_FAILED_ATTEMPTS, failures=MAX_FAILED_ATTEMPTS - 1)
    world = ChatWorld([last], llama=Refuses(DOWN))
    await world.complete_chat(command(model="llama"))
    (settlement,) = world.attempts.settlements
    assert isinstance(settlement.step, JobFails)
    assert settlement.step.error.code == "provider_unavailable"
    assert settlement.terminal_frame is not None


async def test_a_lost_lease_ends_the_work() -> None:
    world = ChatWorld(llama=Refuses(DOWN))
    world.attempts.is_lease_lost = True
    await world.complete_chat(command())
    assert world.calls == ["llama"]
    assert world.relay.rows == []


async def test_the_reset_says_what_went_wrong() -> None:
    world = ChatWorld(
        [claim(1), claim(2, failures=1)],
        llama=BreaksOff("timeout_between_tokens", ("One",)),
        luna=BreaksOff("stream_cut", ("Two",)),
    )
    await world.complete_chat(command())
    resets = [frame for frame in world.frames.frames if isinstance(frame, JobReset)]
    assert [(reset.attempt, reset.reason) for reset in resets] == [(2, "timeout_between_tokens")]


async def test_an_answer_without_an_end_is_a_bug() -> None:
    world = ChatWorld()

    class Endless(ScriptedChatModel):
        async def stream(self, call: ChatCall) -> AsyncGenerator[ChatEvent]:
            yield TextDelta(call.model)

    world.models[CLOUDFLARE] = Endless()
    with pytest.raises(AssertionError):
        await world.complete_chat(command())
    assert world.attempts.settlements == []


async def test_every_attempt_and_its_usage_know_the_arm() -> None:
    world = ChatWorld(llama=Refuses(DOWN))
    await world.complete_chat(command())
    assert [claimed.arm for claimed in world.attempts.claims] == [ARM, ARM]
    assert [event.arm for event in world.usage] == [ARM, ARM]
