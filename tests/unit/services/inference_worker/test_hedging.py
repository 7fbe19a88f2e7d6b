"""Two calls side by side: who wins, and what becomes of the other one."""

from collections.abc import AsyncGenerator
from datetime import timedelta
from decimal import Decimal

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI
from shared.domain.circuits import CircuitClass, Trip
from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.provider_calls import ChatCall, ChatEvent, TextDelta
from shared.domain.routes import Routed
from shared.domain.usage import NO_USAGE
from shared.domain.work import JobContinues, JobSucceeds, JobWaits
from tests.support.chat_world import BAD_REQUEST, DOWN, LLAMA, LUNA
from tests.support.fake_providers import BreaksOff, Hangs, Refuses, Says, ScriptedChatModel
from tests.support.hedge_world import NEVER, NO_TEXT, OTHER, HedgeWorld, hedged
from tests.support.waiting import wait_until

GONE = ProviderFailure("5028", "gone", FailureAction.FALL_BACK, trip=Trip(CircuitClass.RETIRED))
LOST = ("failed", "hedge_lost")
SUCCEEDED = ("succeeded", None)


async def test_who_answers_in_time_is_asked_alone() -> None:
    world = HedgeWorld(routed=hedged(after=NEVER))
    world.begin()
    await world.ended()
    assert world.chat.calls == ["llama"]
    assert world.codes == [SUCCEEDED]


async def test_the_second_answers_when_the_first_is_slow_to_begin() -> None:
    world = HedgeWorld(llama=NO_TEXT)
    await world.both_are_called()
    await world.ended()
    assert world.shown == [(2, "Hi")]
    frame = world.completed
    assert (frame.attempt, frame.provider, frame.is_fallback) == (2, OPENAI, True)
    assert frame.result == {
        "message": {"role": "assistant", "content": "Hi you"},
        "finish_reason": "stop",
    }
    assert world.codes == [LOST, SUCCEEDED]
    assert [type(settled.step) for settled in world.settlements] == [JobContinues, JobSucceeds]


async def test_the_second_is_on_the_books_as_a_hedge_under_its_cap() -> None:
    world = HedgeWorld()
    await world.both_are_called()
    await world.ended()
    first, second = world.chat.attempts.claims
    assert (first.is_hedge, second.is_hedge) == (False, True)
    assert "hedge:paid" not in first.scopes
    assert second.scopes == [
        "global",
        "tier:paid",
        "user:user-1",
        "key:key-1",
        "provider:openai",
        "hedge:paid",
    ]
    assert (second.worker, second.is_fallback, second.model) == (first.worker, True, "luna")


async def test_a_turn_for_the_second_is_not_waited_for() -> None:
    world = HedgeWorld()
    await world.both_are_called()
    await world.ended()
    assert world.admission.asked == ["llama", "luna"]
    assert world.admission.patience[1] == timedelta(0)


async def test_the_slower_call_is_closed_and_settled_while_the_other_one_still_streams() -> None:
    world = HedgeWorld(llama=NO_TEXT, luna=Hangs(("Hi",)))
    job = await world.both_are_called()
    world.luna_time.set()
    await wait_until(lambda: bool(world.settlements))
    assert world.codes == [LOST]
    assert world.chat.models[CLOUDFLARE].streams_open == 0
    assert world.chat.models[OPENAI].streams_open == 1
    assert not job.done()
    await world.cancelled()


async def test_the_first_wins_if_it_begins_first_after_all() -> None:
    world = HedgeWorld(luna=NO_TEXT)
    await world.both_are_called()
    await world.ended()
    assert world.shown == [(1, "Hello")]
    assert (world.completed.attempt, world.completed.is_fallback) == (1, False)
    assert [s.attempt_id for s in world.settlements] == [
        claimed.attempt_id for claimed in reversed(world.chat.attempts.claims)
    ]
    assert world.codes == [LOST, SUCCEEDED]
    assert world.streams_open == 0


async def test_a_lost_call_is_no_failure_of_its_provider_and_no_fallback() -> None:
    world = HedgeWorld(luna=NO_TEXT)
    await world.both_are_called()
    await world.ended()
    assert world.admission.failures == []
    assert world.admission.answers[0] == ("luna", NO_USAGE)
    assert world.settlements[0].failures == 0
    lost, won = world.chat.usage
    assert (lost.model, lost.is_hedge, lost.is_fallback, lost.is_error) == (
        "luna",
        True,
        False,
        False,
    )
    assert (won.model, won.is_hedge, won.is_error) == ("llama", None, False)


async def test_what_the_slower_call_may_have_consumed_is_part_of_the_jobs_cost() -> None:
    """Both answer at the same moment; of the other one, nobody knows how much was on its way."""
    world = HedgeWorld(luna=Hangs(("Hi",)))
    await world.both_are_called()
    await world.ended()
    assert world.shown == [(1, "Hello")]
    lost, won = (settled.result for settled in world.settlements)
    assert (lost.usage.output_tokens, lost.usage.is_assumed) == (50, True)
    assert lost.provider_request_id == "request-1"
    assert [event.assumed for event in world.chat.usage] == [True, False]
    assert lost.cost_usd > 0
    assert world.completed.cost_usd == lost.cost_usd + won.cost_usd
    assert world.completed.usage.output_tokens == won.usage.output_tokens
    assert world.admission.answers[0] == ("luna", lost.usage)


async def test_of_two_whole_answers_one_is_shown_and_both_are_paid() -> None:
    world = HedgeWorld()
    await world.both_are_called()
    await world.ended()
    assert world.shown == [(1, "Hello")]
    lost, won = (settled.result for settled in world.settlements)
    assert (lost.usage.output_tokens, lost.provider_request_id) == (2, "request-1")
    assert world.completed.cost_usd == lost.cost_usd + won.cost_usd


async def test_an_answer_without_text_wins_by_its_end() -> None:
    world = HedgeWorld(llama=NO_TEXT, luna=Says((), "tool_calls"))
    await world.both_are_called()
    await world.ended()
    assert (world.completed.attempt, world.shown) == (2, [])
    assert world.codes == [LOST, SUCCEEDED]


async def test_a_first_that_fails_leaves_the_second_alone() -> None:
    world = HedgeWorld(llama=BreaksOff("empty_answer", ("",)))
    await world.both_are_called()
    world.llama_time.set()
    await wait_until(lambda: bool(world.settlements))
    await world.ended()
    assert world.codes == [("failed", "empty_answer"), SUCCEEDED]
    first, second = world.settlements
    assert isinstance(first.step, JobContinues)
    assert (first.failures, second.failures) == (1, 0)
    assert world.completed.cost_usd == first.result.cost_usd + second.result.cost_usd
    assert world.shown == [(2, "Hi")]
    assert world.admission.failures == [("llama", "empty_answer")]


async def test_a_second_that_fails_leaves_the_first_alone() -> None:
    world = HedgeWorld(luna=Refuses(BAD_REQUEST))
    await world.both_are_called()
    world.luna_time.set()
    await wait_until(lambda: bool(world.settlements))
    await world.ended()
    assert world.codes == [("failed", "5006"), SUCCEEDED]
    assert world.shown == [(1, "Hello")]


async def test_when_both_fail_the_job_waits_and_both_failures_count() -> None:
    world = HedgeWorld(llama=Refuses(DOWN), luna=Refuses(DOWN))
    await world.both_are_called()
    await world.ended()
    assert world.codes == [("failed", "3040")] * 2
    first, second = world.settlements
    assert isinstance(second.step, JobWaits)
    assert (first.failures, second.failures) == (1, 1)
    assert world.chat.calls == ["llama", "luna"]


async def test_when_both_fail_the_third_is_asked() -> None:
    world = HedgeWorld(llama=Refuses(DOWN), luna=Refuses(DOWN), routed=hedged(LLAMA, LUNA, OTHER))
    await world.both_are_called()
    await world.ended()
    assert [claimed.is_hedge for claimed in world.chat.attempts.claims] == [False, True, False]
    assert world.chat.calls == ["llama", "luna", "luna"]
    assert world.chat.models[OPENAI].calls[1].options == {}


async def test_the_successor_of_a_first_that_is_gone_is_asked_when_the_second_fails() -> None:
    plain = hedged(LLAMA, LUNA)
    routed = Routed(plain.candidates, plain.arm, {LLAMA: OTHER}, hedge=plain.hedge)
    world = HedgeWorld(llama=Refuses(GONE), luna=Refuses(DOWN), routed=routed)
    await world.both_are_called()
    world.llama_time.set()
    await wait_until(lambda: bool(world.settlements))
    await world.ended()
    assert world.codes[:2] == [("failed", "5028"), ("failed", "3040")]
    assert world.chat.models[OPENAI].calls[1].options == {}
    assert [claimed.is_fallback for claimed in world.chat.attempts.claims] == [False, True, False]


async def test_who_only_was_slower_may_be_asked_again_when_the_winner_breaks_off() -> None:
    world = HedgeWorld(llama=NO_TEXT, luna=BreaksOff("stream_cut", ("Hi",)))
    await world.both_are_called()
    world.luna_time.set()
    await wait_until(lambda: world.chat.calls == ["llama", "llama", "luna"])
    assert world.codes == [LOST, ("failed", "stream_cut")]
    assert world.shown == [(2, "Hi"), (3, "reset: stream_cut")]
    third = world.chat.attempts.claims[2]
    assert (third.model, third.is_hedge, third.is_fallback) == ("llama", False, False)
    await world.cancelled()


async def test_a_job_that_is_cancelled_leaves_no_call_open() -> None:
    world = HedgeWorld(llama=NO_TEXT, luna=NO_TEXT)
    await world.both_are_called()
    assert world.streams_open == 2
    await world.cancelled()
    assert world.streams_open == 0
    assert world.settlements == []


async def test_a_lost_lease_ends_the_work() -> None:
    world = HedgeWorld(llama=NO_TEXT)
    await world.both_are_called()
    world.chat.attempts.is_lease_lost = True
    await world.ended()
    assert [s.step for s in world.settlements][:1] == [JobContinues()]
    assert world.chat.relay.rows == []
    assert world.streams_open == 0


async def test_an_answer_without_an_end_is_a_bug_and_closes_the_other_call() -> None:
    world = HedgeWorld(llama=NO_TEXT)

    class Endless(ScriptedChatModel):
        async def stream(self, call: ChatCall) -> AsyncGenerator[ChatEvent]:
            self.calls.append(call)
            await world.luna_time.wait()
            yield TextDelta("")

    world.chat.models[OPENAI] = Endless([], OPENAI)
    await world.both_are_called()
    with pytest.raises(AssertionError, match="a stream ends with"):
        await world.ended()
    assert world.streams_open == 0


async def test_the_jobs_cost_has_what_was_paid_for_the_lost_call() -> None:
    """Which the settlement knows, since it takes off what is free."""
    world = HedgeWorld()
    await world.both_are_called()
    world.chat.attempts.paid_usd = Decimal("0.000001")
    await world.ended()
    lost, won = (settled.result for settled in world.settlements)
    assert lost.cost_usd != Decimal("0.000001")
    assert world.completed.cost_usd == Decimal("0.000001") + won.cost_usd
