from datetime import UTC, datetime
from decimal import Decimal

import orjson

from shared.domain.claims import Divert, NoRoom, Unclaimable
from shared.domain.collections import EmbeddingWork, OnFallback
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL
from shared.domain.errors import (
    FailureAction,
    ProviderFailure,
)
from shared.domain.jobs import AttemptOutcome, JobKind, WaitingReason
from shared.domain.usage import TokenUsage
from shared.domain.work import JobContinues, JobFails, JobSucceeds, JobWaits
from shared.messages.commands import EmbedTexts
from shared.messages.events import UsageRecorded
from shared.messages.frames import FRAME, JobCompleted, JobExpired, JobFailed
from tests.support.embedding_world import EmbeddingWorld, FixedRoute
from tests.support.fake_providers import Refuses, ScriptedEmbeddingModel
from tests.support.fakes_of_embedding import (
    JOB,
    MemoryEmbeddings,
    ScriptedAttempts,
    SteppingGate,
    claim_number,
)

_UNTIL = datetime(2026, 11, 24, tzinfo=UTC)
_TOO_LARGE = Refuses(ProviderFailure("3030", "too large", FailureAction.SPLIT))
_DOWN = Refuses(
    ProviderFailure("3040", "no capacity", FailureAction.FALL_BACK, usage=TokenUsage(3))
)
_WRONG = Refuses(ProviderFailure("5006", "bad input", FailureAction.FAIL))


async def test_one_batch_is_embedded_and_ends_the_job() -> None:
    world = EmbeddingWorld()
    world.has(texts=3)
    await world.embed()
    (settled,) = world.embeddings.settled
    assert settled.space == BGE_M3
    assert [one.position for one in settled.vectors] == [0, 1, 2]
    assert settled.settlement.step == JobSucceeds(
        '{"embedding_space": "bge-m3", "dimensions": 1024, "count": 3}'
    )
    assert len(world.cloudflare.calls) == 1


async def test_a_call_is_on_the_books_before_it_is_made() -> None:
    world = EmbeddingWorld(attempts=ScriptedAttempts([Unclaimable.LEASED]))
    world.has(texts=1)
    await world.embed()
    (request,) = world.attempts.requests
    assert request.hold_usd > 0
    assert request.scopes == ["global", "tier:paid", "user:user", "key:key", "provider:cloudflare"]
    assert (world.cloudflare.calls, world.embeddings.settled) == ([], [])


async def test_the_usage_event_carries_what_the_call_cost() -> None:
    world = EmbeddingWorld()
    world.has(texts=2)
    await world.embed()
    usage = next(one for one in world.broker.flushed if one.exchange == "events")
    event = UsageRecorded.model_validate_json(usage.body)
    assert usage.routing_key == "usage.embed"
    assert event.message_id == world.attempts.requests[0].attempt_id
    assert event.cost_usd == Decimal(event.input_tokens) / 1_000_000
    assert event.hold_usd == world.attempts.requests[0].hold_usd
    assert not event.is_error


async def test_the_last_frame_sums_the_whole_job() -> None:
    world = EmbeddingWorld()
    world.has(texts=2)
    await world.embed()
    settlement = world.embeddings.settled[0].settlement
    frame = FRAME.validate_json(settlement.terminal_frame or b"")
    assert isinstance(frame, JobCompleted)
    assert frame.usage.input_tokens == 7 + settlement.result.usage.input_tokens
    assert frame.cost_usd == Decimal("0.5") + settlement.result.cost_usd
    assert (frame.is_fallback, frame.latency_ms) == (False, 60_000)
    assert world.frames.sent == [("job._1.job_1", frame)]


async def test_more_texts_than_a_call_takes_are_embedded_one_call_after_another() -> None:
    world = EmbeddingWorld()
    world.has(texts=250)
    await world.embed()
    assert [len(call.texts) for call in world.cloudflare.calls] == [100, 100, 50]
    assert world.steps == [JobContinues, JobContinues, JobSucceeds]
    assert len({one.attempt_id for one in world.attempts.requests}) == 3


async def test_a_batch_that_is_too_large_is_halved_until_it_fits() -> None:
    world = EmbeddingWorld(cloudflare=ScriptedEmbeddingModel([_TOO_LARGE, None]))
    world.has(texts=5)
    await world.embed()
    assert [len(call.texts) for call in world.cloudflare.calls] == [5, 2, 3]
    assert world.steps == [JobContinues, JobContinues, JobSucceeds]
    positions = [one.position for each in world.embeddings.settled for one in each.vectors]
    assert positions == [0, 1, 2, 3, 4]


async def test_a_failing_provider_is_followed_by_the_next_in_its_own_space() -> None:
    world = EmbeddingWorld(cloudflare=ScriptedEmbeddingModel([_DOWN]))
    world.has(texts=2)
    await world.embed()
    first, second = world.embeddings.settled
    assert first.settlement.result.outcome is AttemptOutcome.FAILED
    assert first.settlement.result.cost_usd == Decimal("0.000003")
    assert second.space == TEXT_EMBEDDING_3_SMALL
    assert world.attempts.requests[1].is_fallback


async def test_a_result_never_mixes_spaces() -> None:
    world = EmbeddingWorld(cloudflare=ScriptedEmbeddingModel([None, _DOWN]))
    world.has(texts=150)
    await world.embed()
    assert world.steps == [JobContinues, JobWaits]
    assert world.openai.calls == []


async def test_a_collection_that_waits_does_not_fall_back() -> None:
    world = EmbeddingWorld(cloudflare=ScriptedEmbeddingModel([_DOWN]))
    world.has(texts=2, space_id=BGE_M3.id)
    await world.embed(JobKind.INGEST)
    (settled,) = world.embeddings.settled
    step = settled.settlement.step
    assert isinstance(step, JobWaits)
    assert step.waiting is not None
    assert step.waiting.reason is WaitingReason.PROVIDER_COOLDOWN
    retry = settled.settlement.messages[-1].message
    assert (retry.exchange, retry.routing_key) == ("retry.5s", "embed.bulk")
    assert retry.mandatory
    assert EmbedTexts.model_validate_json(retry.body) == world.command(JobKind.INGEST)


async def test_a_collection_may_go_on_in_a_separate_space() -> None:
    world = EmbeddingWorld(cloudflare=ScriptedEmbeddingModel([None, _DOWN]))
    world.has(texts=150, space_id=BGE_M3.id, on_fallback=OnFallback.SEPARATE_SPACE)
    await world.embed(JobKind.INGEST)
    spaces = [one.space for one in world.embeddings.settled if one.vectors]
    assert spaces == [BGE_M3, TEXT_EMBEDDING_3_SMALL]
    assert world.steps[-1] is JobSucceeds


async def test_a_job_that_failed_too_often_ends() -> None:
    world = EmbeddingWorld(
        attempts=ScriptedAttempts([claim_number(8, failures=7)]),
        cloudflare=ScriptedEmbeddingModel([_DOWN]),
    )
    world.has(texts=1, space_id=BGE_M3.id)
    await world.embed(JobKind.INGEST)
    assert world.steps == [JobFails]


async def test_a_wrong_request_fails_the_job_with_a_frame() -> None:
    world = EmbeddingWorld(cloudflare=ScriptedEmbeddingModel([_WRONG]))
    world.has(texts=2)
    await world.embed()
    settlement = world.embeddings.settled[0].settlement
    assert isinstance(settlement.step, JobFails)
    frame = FRAME.validate_json(settlement.terminal_frame or b"")
    assert isinstance(frame, JobFailed)
    assert frame.error.code == "5006"


async def test_a_lost_lease_ends_the_work_here() -> None:
    world = EmbeddingWorld(embeddings=MemoryEmbeddings(is_lease_lost=True))
    world.has(texts=150)
    await world.embed()
    assert len(world.cloudflare.calls) == 1


async def test_a_job_without_texts_left_succeeds_unpaid() -> None:
    world = EmbeddingWorld()
    world.embeddings.work = EmbeddingWork((), 4, BGE_M3.id, OnFallback.WAIT)
    await world.embed()
    (result,) = world.embeddings.succeeded
    assert orjson.loads(result) == {"embedding_space": "bge-m3", "dimensions": 1024, "count": 4}
    assert len(world.broker.flushed) == 1
    assert world.attempts.requests == []


async def test_a_job_whose_collection_is_gone_succeeds_empty() -> None:
    world = EmbeddingWorld()
    await world.embed(JobKind.INGEST)
    (result,) = world.embeddings.succeeded
    assert orjson.loads(result) == {"embedding_space": None, "dimensions": None, "count": 0}


async def test_an_unknown_model_fails_the_job_unpaid() -> None:
    world = EmbeddingWorld(route=FixedRoute(known=False))
    world.has(texts=1)
    await world.embed()
    assert [error.code for error in world.embeddings.failed] == ["unknown_model"]
    assert world.attempts.requests == []


async def test_a_missing_price_refuses_the_call() -> None:
    world = EmbeddingWorld(route=FixedRoute(priced=False))
    world.has(texts=1)
    await world.embed()
    assert [error.code for error in world.embeddings.failed] == ["unknown_price"]
    assert world.cloudflare.calls == []


async def test_a_job_past_its_deadline_expires() -> None:
    world = EmbeddingWorld(attempts=ScriptedAttempts([Unclaimable.DEADLINE_PASSED]))
    world.has(texts=1)
    await world.embed()
    assert world.embeddings.expired == [JOB]
    frame = FRAME.validate_json(world.broker.flushed[0].body)
    assert isinstance(frame, JobExpired)


async def test_a_gate_that_the_claim_finds_shut_sends_the_command_away() -> None:
    world = EmbeddingWorld(attempts=ScriptedAttempts([Unclaimable.GATE_SHUT]))
    world.has(texts=1)
    await world.embed()
    assert world.broker.published[0].exchange == "retry.5s"
    assert world.embeddings.settled == []


async def test_no_room_in_a_budget_parks_the_job() -> None:
    world = EmbeddingWorld(attempts=ScriptedAttempts([NoRoom("global", _UNTIL)]))
    world.has(texts=1)
    await world.embed()
    (parking,) = world.attempts.parked
    command = parking.command
    assert (parking.no_room, command.exchange) == (NoRoom("global", _UNTIL), "jobs")
    assert (command.message_id, command.routing_key) == ("start", "embed.interactive")
    assert parking.hold_usd == world.attempts.requests[0].hold_usd


async def test_no_room_midway_parks_the_job() -> None:
    world = EmbeddingWorld(attempts=ScriptedAttempts([claim_number(1), NoRoom("global", _UNTIL)]))
    world.has(texts=150)
    await world.embed()
    (parking,) = world.attempts.parked
    assert parking.hold_usd == world.attempts.requests[1].hold_usd
    assert world.attempts.put_offs == []


async def test_a_paused_provider_is_passed_over_where_vectors_may_go_elsewhere() -> None:
    world = EmbeddingWorld(attempts=ScriptedAttempts([NoRoom("provider:cloudflare", None)]))
    world.has(texts=1)
    await world.embed()
    assert [request.provider for request in world.attempts.requests] == ["cloudflare", "openai"]
    assert world.attempts.parked == []


async def test_a_diverted_job_is_claimed_again_as_such() -> None:
    world = EmbeddingWorld(attempts=ScriptedAttempts([Divert()]))
    world.has(texts=1)
    await world.embed()
    assert [request.is_diverted for request in world.attempts.requests] == [False, True]
    assert len(world.embeddings.settled) == 1


async def test_a_job_diverted_midway_stays_in_the_space_of_its_vectors() -> None:
    script = ScriptedAttempts([claim_number(1), Divert(), claim_number(2)])
    world = EmbeddingWorld(attempts=script)
    world.has(texts=150)
    await world.embed()
    assert [request.is_diverted for request in world.attempts.requests] == [False, False, True]
    assert {one.space for one in world.embeddings.settled} == {BGE_M3}


async def test_a_shut_gate_sends_the_command_away_for_a_while() -> None:
    world = EmbeddingWorld(gate=SteppingGate(0))
    world.has(texts=1)
    await world.embed()
    (command,) = world.broker.published
    assert (command.exchange, command.routing_key) == ("retry.5s", "embed.interactive")
    assert world.attempts.requests == []


async def test_a_gate_that_shuts_midway_gives_the_job_back() -> None:
    world = EmbeddingWorld(gate=SteppingGate(1))
    world.has(texts=150)
    await world.embed()
    command = world.attempts.put_offs[0].command
    assert command.message.exchange == "retry.5s"
    assert world.broker.published == []
