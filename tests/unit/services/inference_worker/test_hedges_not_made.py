"""When no second candidate is asked, and that the first one's answer never suffers from it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import orjson
import pytest

from shared.domain.catalog import OPENAI, ServiceTier
from shared.domain.claims import ClaimOutcome, Divert, NoRoom, Unclaimable
from shared.domain.errors import DatabaseUnavailableError
from shared.domain.pricing import PriceBook
from shared.domain.routes import Candidate, Hedge, Routed
from shared.ports.admission import Admitted, HeldUp
from tests.support.chat_world import ARM, DOWN, LLAMA, LUNA, PRICES, ChatWorld, claim, command
from tests.support.fake_providers import BreaksOff, Refuses, Says
from tests.support.fakes_of_admission import ScriptedAdmission, held_up_until
from tests.support.fakes_of_chat import ScriptedGate
from tests.support.fakes_of_time import StillClock
from tests.support.hedge_world import NO_TEXT, OTHER, HedgeWorld, SlowAdmission, hedged
from tests.support.waiting import wait_until

SOON = StillClock().now() + timedelta(seconds=3)
SUCCEEDED = ("succeeded", None)


async def _answered_alone(world: HedgeWorld, is_time: Callable[[], bool]) -> None:
    """Let the first answer once it was looked for a second one; nobody else must be called."""
    world.begin()
    await wait_until(is_time)
    await world.ended()
    assert world.chat.calls == ["llama"]
    assert world.codes[-1] == SUCCEEDED
    assert world.shown == [(1, "Hello")]


@pytest.mark.parametrize(
    "outcome",
    [
        NoRoom("hedge:paid", SOON),
        NoRoom("provider:openai", SOON),
        Divert(),
        Unclaimable.LEASED,
        Unclaimable.GATE_SHUT,
        Unclaimable.DEADLINE_PASSED,
    ],
)
async def test_none_without_room_under_the_cap_or_in_any_other_budget(
    outcome: ClaimOutcome,
) -> None:
    world = HedgeWorld(claims=[claim(1), outcome])
    await _answered_alone(world, lambda: len(world.chat.attempts.claims) == 2)
    assert world.admission.uncalled == ["luna"]
    assert world.codes == [SUCCEEDED]
    assert world.chat.publisher.published == []
    assert world.chat.attempts.expired == []


async def test_none_behind_a_shut_gate() -> None:
    world = HedgeWorld()
    world.chat.gate.script = [True, False]
    await _answered_alone(world, lambda: len(world.chat.gate.asked) == 2)
    assert len(world.chat.attempts.claims) == 1
    assert world.admission.uncalled == ["luna"]
    assert world.chat.publisher.published == []


async def test_none_if_the_second_is_let_alone() -> None:
    held_up = {"luna": [*held_up_until(SOON)]}
    world = HedgeWorld(admission=ScriptedAdmission(held_up=held_up))
    await _answered_alone(world, lambda: world.admission.asked == ["llama", "luna"])
    assert len(world.chat.attempts.claims) == 1


async def test_the_third_is_asked_if_the_second_is_let_alone() -> None:
    held_up = {"luna": [*held_up_until(SOON)]}
    world = HedgeWorld(
        routed=hedged(LLAMA, LUNA, OTHER), admission=ScriptedAdmission(held_up=held_up)
    )
    await world.both_are_called()
    await world.ended()
    assert world.chat.models[OPENAI].calls[0].options == {}


async def test_none_that_would_try_whether_its_provider_is_back() -> None:
    world = HedgeWorld(admission=ScriptedAdmission(probing={"luna"}))
    await _answered_alone(world, lambda: world.admission.uncalled == ["luna"])


async def test_none_beside_a_call_that_tries_whether_its_provider_is_back() -> None:
    world = HedgeWorld(admission=ScriptedAdmission(probing={"llama"}))
    world.begin()
    await world.ended()
    assert world.admission.asked == ["llama"]


async def test_none_while_nobody_knows_who_may_be_asked() -> None:
    @dataclass
    class Away(ScriptedAdmission):
        refused: list[str] = field(default_factory=list[str])

        async def admit(
            self, candidate: Candidate, tokens: int, patience: timedelta
        ) -> Admitted | HeldUp:
            if candidate == LUNA:
                self.refused.append("luna")
                raise DatabaseUnavailableError("the fake is away")
            return await super().admit(candidate, tokens, patience)

    admission = Away()
    await _answered_alone(HedgeWorld(admission=admission), lambda: bool(admission.refused))


async def test_a_second_that_may_be_on_the_books_is_settled_for_nothing() -> None:
    """Its claim may have been committed; open, its hold would stand for ever."""
    admission = SlowAdmission()
    world = HedgeWorld(admission=admission)
    world.begin()
    await wait_until(lambda: admission.asked == ["llama", "luna"])
    world.chat.attempts.is_away = True
    admission.time.set()
    await wait_until(lambda: bool(world.settlements))
    world.chat.attempts.is_away = False
    await world.ended()
    assert world.chat.calls == ["llama"]
    assert world.codes == [("failed", "hedge_lost"), SUCCEEDED]
    unsure = world.settlements[0]
    assert unsure.attempt_id != world.settlements[1].attempt_id
    assert (unsure.result.cost_usd, unsure.failures) == (Decimal(0), 0)
    assert world.admission.uncalled == ["luna"]


@pytest.mark.parametrize(
    ("llama", "calls"), [(Says(), ["llama"]), (Refuses(DOWN), ["llama", "luna"])]
)
async def test_a_second_is_not_called_if_the_first_has_moved_meanwhile(
    llama: Says | Refuses, calls: list[str]
) -> None:
    admission = SlowAdmission()
    world = HedgeWorld(llama=llama, luna=Says(), admission=admission)
    world.begin()
    await wait_until(lambda: admission.asked == ["llama", "luna"])
    world.llama_time.set()
    await wait_until(lambda: world.streams_open == 0)
    admission.time.set()
    await world.ended()
    assert world.codes[0] == ("failed", "hedge_lost")
    assert world.codes[-1] == SUCCEEDED
    assert world.chat.calls == calls
    assert admission.uncalled == ["luna"]


async def test_never_the_same_candidate() -> None:
    same = Routed([LLAMA, LUNA], ARM, {LUNA: LLAMA}, hedge=Hedge(timedelta(0), Decimal(5)))
    admission = ScriptedAdmission(retired={"luna"})
    world = HedgeWorld(routed=same, admission=admission)
    world.begin()
    await wait_until(lambda: world.chat.calls == ["llama"])
    await world.ended()
    assert admission.asked == ["llama"]


async def test_the_successor_is_asked_of_a_second_that_is_gone() -> None:
    routed = Routed([LLAMA, LUNA], ARM, {LUNA: OTHER}, hedge=Hedge(timedelta(0), Decimal(5)))
    world = HedgeWorld(llama=NO_TEXT, luna=BreaksOff("stream_cut", ("Hi",)), routed=routed)
    world.admission.retired.add("luna")
    await world.both_are_called()
    assert world.chat.models[OPENAI].calls[0].options == {}
    await world.cancelled()


async def test_none_whose_price_nobody_knows_any_more() -> None:
    """The option was priced when the job began; by the price of the next day it is not."""
    flex = Candidate(OPENAI, "luna", {"service_tier": "flex"})
    llama, luna = PRICES.rows
    tomorrow = (StillClock().now() + timedelta(days=1)).date()
    today = replace(luna, factor_by_tier={ServiceTier.FLEX: Decimal("0.5")})

    @dataclass
    class OverMidnight(ScriptedAdmission):
        looked_at: list[str] = field(default_factory=list[str])

        def is_retired(self, candidate: Candidate) -> bool:
            self.looked_at.append(candidate.model)
            if candidate == flex:
                world.chat.clock.advance(timedelta(days=1))
            return super().is_retired(candidate)

    admission = OverMidnight()
    world = HedgeWorld(
        routed=hedged(LLAMA, flex),
        admission=admission,
        prices=PriceBook([llama, today, replace(luna, effective_from=tomorrow)]),
    )
    await _answered_alone(world, lambda: "luna" in admission.looked_at)
    assert admission.asked == ["llama"]


@pytest.mark.parametrize("number", [2, 3])
async def test_none_once_the_job_has_been_called(number: int) -> None:
    world = HedgeWorld(claims=[claim(number, failures=1)])
    world.begin()
    await world.ended()
    assert world.admission.asked == ["llama"]


async def test_none_beside_a_fallback() -> None:
    held_up = {"llama": [*held_up_until(SOON)]}
    world = HedgeWorld(
        luna=Says(("Hello",)),
        routed=hedged(LLAMA, LUNA, OTHER),
        admission=ScriptedAdmission(held_up=held_up),
    )
    world.begin()
    await world.ended()
    assert world.chat.calls == ["luna"]


async def test_none_for_a_diverted_job() -> None:
    world = HedgeWorld(claims=[Divert(), claim(1)])
    world.begin()
    await world.ended()
    assert len(world.chat.calls) == 1


async def test_none_for_an_answer_that_comes_in_one_piece() -> None:
    """Its silence says nothing, and all of it is billed, whoever reads it."""
    request = orjson.dumps(
        {
            "messages": [{"role": "user", "content": "hello"}],
            "max_tokens": 50,
            "response_format": {"type": "json_object"},
        }
    ).decode()
    world = HedgeWorld(claims=[replace(claim(1), request_json=request)])
    world.begin()
    await world.ended()
    assert world.admission.asked == ["llama"]


async def test_without_a_hedge_no_race_is_run() -> None:
    world = ChatWorld(gate=ScriptedGate())
    await world.complete_chat(command())
    assert world.calls == ["llama"]
    assert world.models[OPENAI].calls == []
    assert [call.meter for model in world.models.values() for call in model.calls] == [None]
