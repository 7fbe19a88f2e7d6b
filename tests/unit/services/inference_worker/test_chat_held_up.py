"""Chat jobs whose providers are let alone, or called as fast as they allow."""

from datetime import timedelta

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.circuits import CircuitClass, Trip
from shared.domain.claims import Divert, NoRoom, PassedOver, Unclaimable
from shared.domain.errors import DatabaseUnavailableError, FailureAction, ProviderFailure
from shared.domain.jobs import WaitingReason
from shared.domain.routes import Routed
from shared.domain.work import JobWaits
from shared.messages.commands import CompleteChat
from shared.ports.admission import LAST_PATIENCE, PATIENCE
from tests.support.chat_world import ARM, LLAMA, LUNA, ChatWorld, claim, command
from tests.support.fake_providers import Refuses
from tests.support.fakes_of_admission import ScriptedAdmission, held_up_until
from tests.support.fakes_of_time import StillClock

NOW = StillClock().now()
SOON, LATER = NOW + timedelta(seconds=3), NOW + timedelta(minutes=5)
GONE = ProviderFailure("5028", "gone", FailureAction.FALL_BACK, trip=Trip(CircuitClass.RETIRED))
TOO_FAST = ProviderFailure("3040", "full", FailureAction.BACK_OFF, trip=Trip(CircuitClass.RATE))
UNKNOWN = ProviderFailure("9999", "what?", FailureAction.FALL_BACK, is_known=False)


def _world(**held_up: int) -> ChatWorld:
    """Return a world in which models are held up so often, each time for three seconds."""
    script = {model: [*held_up_until(SOON, times)] for model, times in held_up.items()}
    return ChatWorld(admission=ScriptedAdmission(held_up=script))


async def test_a_provider_that_is_let_alone_is_passed_over() -> None:
    world = _world(llama=1)
    await world.complete_chat(command())
    assert world.calls == ["luna"]
    (claimed,) = world.attempts.claims
    assert claimed.is_fallback
    assert claimed.passed_over == [PassedOver(CLOUDFLARE, "llama", "3040", NOW)]


async def test_a_turn_is_waited_for_longer_when_nobody_else_may_be_asked() -> None:
    world = _world(llama=1)
    await world.complete_chat(command())
    assert world.admission.patience == [PATIENCE, PATIENCE]
    alone = ChatWorld()
    await alone.complete_chat(command(model="llama"))
    assert alone.admission.patience == [LAST_PATIENCE]


async def test_a_delivery_is_held_until_somebody_may_be_asked() -> None:
    world = _world(llama=2, luna=1)
    await world.complete_chat(command())
    assert world.admission.waits == [SOON]
    assert world.calls == ["luna"]
    assert world.attempts.put_offs == []
    (claimed,) = world.attempts.claims
    assert [one.provider for one in claimed.passed_over] == [CLOUDFLARE, OPENAI]


async def test_a_job_of_a_provider_that_stays_away_comes_back_when_it_may_be_asked() -> None:
    held_up = {"llama": [*held_up_until(LATER)], "luna": [*held_up_until(LATER)]}
    world = ChatWorld(admission=ScriptedAdmission(held_up=held_up))
    await world.complete_chat(command())
    (put_off,) = world.attempts.put_offs
    assert put_off.waiting is not None
    assert put_off.waiting.reason is WaitingReason.PROVIDER_COOLDOWN
    assert put_off.waiting.until == LATER
    assert put_off.waiting.detail == "cloudflare is let alone: out of capacity"
    assert put_off.command.message.exchange == "jobs"
    assert put_off.command.available_at is not None
    assert LATER <= put_off.command.available_at < LATER + timedelta(seconds=6)
    assert world.calls == world.admission.waits == []


async def test_a_job_that_failed_elsewhere_waits_for_who_is_held_up() -> None:
    world = ChatWorld(
        llama=Refuses(TOO_FAST),
        admission=ScriptedAdmission(held_up={"luna": [*held_up_until(SOON)]}),
    )
    await world.complete_chat(command())
    assert world.calls == ["llama", "luna"]
    assert world.admission.waits == [SOON]


async def test_what_came_of_a_call_is_told() -> None:
    world = ChatWorld(llama=Refuses(TOO_FAST))
    await world.complete_chat(command())
    assert world.admission.failures == [("llama", "3040")]
    assert [model for model, _ in world.admission.answers] == ["luna"]


@pytest.mark.parametrize(
    "outcome", [Unclaimable.DONE, Divert(), NoRoom("global", None), NoRoom("provider:x", None)]
)
async def test_a_call_that_was_not_made_is_told(
    outcome: Unclaimable | Divert | NoRoom,
) -> None:
    world = ChatWorld([outcome, claim(1)])
    await world.complete_chat(command())
    assert world.admission.uncalled[:1] == ["llama"]


async def test_a_call_is_not_made_while_the_database_is_away() -> None:
    world = ChatWorld()

    world.attempts.is_away = True
    with pytest.raises(DatabaseUnavailableError):
        await world.complete_chat(command())
    assert world.admission.uncalled == ["llama"]


async def test_a_call_uses_the_token_whose_turn_it_is() -> None:
    world = ChatWorld()
    await world.complete_chat(command())
    assert [call.credential for call in world.models[CLOUDFLARE].calls] == [1]


def _with_successor(job: CompleteChat) -> Routed:
    del job
    return Routed([LLAMA], ARM, {LLAMA: LUNA})


async def test_a_model_that_turns_out_to_be_gone_is_followed_by_its_successor() -> None:
    world = ChatWorld(llama=Refuses(GONE), route=_with_successor)
    await world.complete_chat(command())
    assert world.calls == ["llama", "luna"]
    assert [claimed.is_fallback for claimed in world.attempts.claims] == [False, False]


async def test_a_model_that_is_known_to_be_gone_is_not_asked() -> None:
    world = ChatWorld(route=_with_successor, admission=ScriptedAdmission(retired={"llama"}))
    await world.complete_chat(command())
    assert world.calls == ["luna"]


async def test_without_a_successor_a_job_waits_for_a_model_that_is_gone() -> None:
    world = ChatWorld(llama=Refuses(GONE))
    await world.complete_chat(command(model="llama"))
    (settlement,) = world.attempts.settlements
    assert isinstance(settlement.step, JobWaits)


async def test_a_provider_that_took_no_call_brings_a_job_no_nearer_to_its_end() -> None:
    world = ChatWorld([claim(9, failures=7)], llama=Refuses(TOO_FAST))
    await world.complete_chat(command(model="llama"))
    (settlement,) = world.attempts.settlements
    assert settlement.failures == 0
    assert isinstance(settlement.step, JobWaits)
    assert settlement.step.waiting is not None
    assert settlement.step.waiting.reason is WaitingReason.PROVIDER_COOLDOWN


async def test_an_unknown_error_falls_back_once_and_ends_the_job_then() -> None:
    world = ChatWorld(llama=Refuses(UNKNOWN), luna=Refuses(UNKNOWN))
    await world.complete_chat(command())
    first, second = world.attempts.settlements
    assert (first.failures, second.failures) == (1, 1)
    assert second.terminal_frame is not None
    assert b"two attempts failed" in second.terminal_frame


async def test_the_routing_tables_choice_takes_what_is_diverted() -> None:
    def dearer_first(job: CompleteChat) -> Routed:
        del job
        return Routed([LLAMA, LUNA], ARM, divert=LUNA)

    world = ChatWorld([Divert(), claim(1)], route=dearer_first)
    await world.complete_chat(command())
    assert world.calls == ["luna"]
    assert [claimed.is_diverted for claimed in world.attempts.claims] == [False, True]
