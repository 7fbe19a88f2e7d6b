"""Jobs that must not, cannot or may not yet be called."""

from datetime import timedelta

import pytest

from shared.domain.claims import Divert, NoRoom, Unclaimable
from shared.domain.gates import CHAT_PAID
from shared.messages.frames import (
    FRAME,
    JobExpired,
    JobFailed,
)
from tests.support.chat_world import (
    DOWN,
    JOB_ID,
    WORKER,
    ChatWorld,
    command,
)
from tests.support.fake_providers import Refuses
from tests.support.fakes_of_chat import ScriptedGate


@pytest.mark.parametrize("reason", [Unclaimable.MISSING, Unclaimable.DONE, Unclaimable.LEASED])
async def test_what_cannot_be_claimed_is_done_with(reason: Unclaimable) -> None:
    world = ChatWorld([reason])
    await world.complete_chat(command())
    assert (world.calls, world.attempts.settlements, world.relay.rows) == ([], [], [])


async def test_a_job_past_its_deadline_expires_unpaid() -> None:
    world = ChatWorld([Unclaimable.DEADLINE_PASSED])
    await world.complete_chat(command())
    (frame,) = world.attempts.expired
    assert FRAME.validate_json(frame.body) == JobExpired(job_id=JOB_ID)
    assert world.sent_to("stream") == [frame]
    assert world.calls == []


async def test_a_job_without_room_is_parked() -> None:
    world = ChatWorld()
    until = world.clock.now() + timedelta(hours=3)
    world.claims[0] = NoRoom("user:user-1", until)
    await world.complete_chat(command())
    (parking,) = world.attempts.parked
    assert (parking.job_id, parking.worker) == (JOB_ID, WORKER)
    assert parking.no_room == NoRoom("user:user-1", until)
    assert parking.hold_usd == world.attempts.claims[0].hold_usd
    assert (parking.command.exchange, parking.command.routing_key) == ("jobs", CHAT_PAID)
    assert world.calls == []


@pytest.mark.parametrize("scope", ["provider:openai", "global"])
@pytest.mark.parametrize("hours", [9, None])
async def test_a_fallback_without_room_starts_anew_by_the_ladder(
    scope: str, hours: int | None
) -> None:
    world = ChatWorld(llama=Refuses(DOWN))
    until = None if hours is None else world.clock.now() + timedelta(hours=hours)
    world.claims[1] = NoRoom(scope, until)
    await world.complete_chat(command())
    given = world.attempts.put_offs[0].command
    assert given.message.exchange == "retry.5s"
    assert world.attempts.parked == []


async def test_a_paused_provider_is_passed_over() -> None:
    world = ChatWorld()
    world.claims[0] = NoRoom("provider:cloudflare", None)
    await world.complete_chat(command())
    assert world.calls == ["luna"]
    assert [claim.is_fallback for claim in world.attempts.claims] == [False, True]


async def test_a_job_that_no_provider_may_answer_waits_for_the_last_of_them() -> None:
    world = ChatWorld()
    world.claims[:] = [NoRoom("provider:cloudflare", None), NoRoom("provider:openai", None)]
    await world.complete_chat(command())
    (parking,) = world.attempts.parked
    assert parking.no_room.scope == "provider:openai"
    assert parking.hold_usd == world.attempts.claims[1].hold_usd


async def test_a_diverted_job_is_claimed_again_as_such() -> None:
    world = ChatWorld()
    world.claims.insert(0, Divert())
    await world.complete_chat(command())
    assert [claim.is_diverted for claim in world.attempts.claims] == [False, True]
    assert len(world.calls) == 1


async def test_a_shut_gate_sends_the_command_back() -> None:
    world = ChatWorld(gate=ScriptedGate([False]))
    await world.complete_chat(command())
    (message,) = world.publisher.published
    assert (message.exchange, message.routing_key) == ("retry.5s", CHAT_PAID)
    assert world.gate.asked == [CHAT_PAID]
    assert world.attempts.claims == []


async def test_a_gate_that_the_claim_finds_shut_sends_the_command_back() -> None:
    world = ChatWorld([Unclaimable.GATE_SHUT])
    await world.complete_chat(command())
    (message,) = world.publisher.published
    assert (message.exchange, message.routing_key) == ("retry.5s", CHAT_PAID)
    assert world.calls == []


async def test_a_gate_shut_between_candidates_gives_the_job_back() -> None:
    world = ChatWorld(llama=Refuses(DOWN), gate=ScriptedGate([True, False]))
    await world.complete_chat(command())
    given = world.attempts.put_offs[0].command
    assert given.message.exchange == "retry.5s"
    assert given.message in [row.message for row in world.relay.rows]
    assert world.calls == ["llama"]


@pytest.mark.parametrize(
    ("model", "code"), [("unknown", "unknown_model"), ("unpriced", "unknown_price")]
)
async def test_a_job_that_nobody_may_answer_fails_unpaid(model: str, code: str) -> None:
    world = ChatWorld()
    await world.complete_chat(command(model=model))
    ((refused, _),) = world.attempts.refused
    assert refused == code
    (message,) = world.sent_to("stream")
    frame = FRAME.validate_json(message.body)
    assert isinstance(frame, JobFailed)
    assert frame.error.code == code
    assert world.attempts.claims == []
