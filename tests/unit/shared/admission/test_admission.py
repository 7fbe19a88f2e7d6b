"""The whole way to a provider call."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from shared.admission.admission import SharedAdmission
from shared.admission.circuits import Circuits
from shared.admission.pacing import Pacer
from shared.domain.catalog import CLOUDFLARE
from shared.domain.circuits import CircuitClass, Trip
from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.rate_limits import RateLimit, RateReport
from shared.domain.routes import Candidate
from shared.domain.usage import TokenUsage
from shared.ports.admission import Admitted, HeldUp
from tests.support.fakes_of_circuits import (
    CountingHint,
    MemoryCircuits,
    MemoryRateTurns,
    SeenCircuits,
)
from tests.support.fakes_of_time import StillClock
from tests.support.waiting import wait_until

LLAMA = Candidate(CLOUDFLARE, "llama")
SPENT = ProviderFailure(
    "2045", "the money is spent", FailureAction.FALL_BACK, trip=Trip(CircuitClass.MONEY)
)
NO_TIME = timedelta(0)
LIMIT = RateLimit(provider=CLOUDFLARE, requests_per_minute=1, tokens_per_minute=6_000)


@dataclass
class World:
    limits: tuple[RateLimit, ...] = ()
    clock: StillClock = field(default_factory=StillClock)
    truth: MemoryCircuits = field(default_factory=MemoryCircuits)

    def __post_init__(self) -> None:
        self.turns = MemoryRateTurns(self.clock)
        circuits = Circuits(self.truth, CountingHint(), self.clock, SeenCircuits())
        self.admission = SharedAdmission(circuits, Pacer(self.turns, self.limits, {}), self.clock)

    async def admitted(self) -> Admitted:
        admitted = await self.admission.admit(LLAMA, 100, timedelta(seconds=1))
        assert isinstance(admitted, Admitted)
        return admitted


async def test_a_call_is_admitted_with_what_it_may_use() -> None:
    world = World()
    assert await world.admitted() == Admitted(LLAMA, 100, world.clock.now())


async def test_a_provider_that_is_let_alone_costs_no_turn() -> None:
    world = World((LIMIT,))
    await world.admission.failed(Admitted(LLAMA, 100, world.clock.now()), SPENT)
    held_up = await world.admission.admit(LLAMA, 100, NO_TIME)
    assert isinstance(held_up, HeldUp)
    assert held_up.code == "2045"
    assert world.turns.asked == []


async def test_a_call_whose_turn_does_not_come_is_held_up() -> None:
    world = World((LIMIT,))
    await world.admitted()
    held_up = await world.admission.admit(LLAMA, 100, NO_TIME)
    assert isinstance(held_up, HeldUp)
    assert held_up.code == "rate_limit"
    assert held_up.detail == "cloudflare is called as fast as it allows"


async def test_a_call_whose_turn_does_not_come_tries_nothing() -> None:
    world = World((LIMIT,))
    call = await world.admitted()
    await world.admission.failed(call, SPENT)
    world.clock.advance(timedelta(minutes=5))
    world.turns.next_turns["cloudflare/* requests"] = world.clock.now() + timedelta(minutes=1)
    held_up = await world.admission.admit(LLAMA, 100, NO_TIME)
    assert isinstance(held_up, HeldUp)
    assert held_up.code == "rate_limit"
    world.turns.next_turns.clear()
    assert (await world.admitted()).probes


async def test_a_circuit_that_opens_while_a_turn_is_waited_for_counts() -> None:
    world = World((LIMIT,))
    call = await world.admitted()
    turn = world.clock.now() + timedelta(milliseconds=200)
    world.turns.next_turns["cloudflare/* requests"] = turn
    waiting = asyncio.create_task(world.admission.admit(LLAMA, 100, timedelta(seconds=5)))
    await wait_until(lambda: len(world.turns.asked) > 1)
    await world.admission.failed(call, SPENT)
    await world.admission.refresh()
    before = world.turns.next_turns["cloudflare/* tokens"]
    held_up = await waiting
    assert isinstance(held_up, HeldUp)
    assert held_up.code == "2045"
    await world.admission.refresh()
    assert world.turns.next_turns["cloudflare/* tokens"] < before - timedelta(seconds=1)


@pytest.mark.parametrize("way", ["answered", "failed", "not_called"])
async def test_unused_tokens_return_however_a_call_ends(way: str) -> None:
    world = World((LIMIT,))
    call = await world.admitted()
    before = world.turns.next_turns["cloudflare/* tokens"]
    match way:
        case "answered":
            await world.admission.answered(call, TokenUsage(10, 20))
        case "failed":
            await world.admission.failed(call, SPENT)
        case _:
            await world.admission.not_called(call)
    await world.admission.refresh()
    assert world.turns.next_turns["cloudflare/* tokens"] < before


async def test_a_provider_that_says_that_nothing_is_left_is_let_alone() -> None:
    world = World()
    report = RateReport(remaining_requests=0, requests_reset_in=timedelta(seconds=7))
    await world.admission.answered(await world.admitted(), TokenUsage(1, 1), report)
    held_up = await world.admission.admit(LLAMA, 100, NO_TIME)
    assert isinstance(held_up, HeldUp)
    assert held_up.until == world.clock.now() + timedelta(seconds=7)


async def test_a_provider_that_has_more_left_is_called_on() -> None:
    world = World()
    await world.admission.answered(
        await world.admitted(), TokenUsage(1, 1), RateReport(remaining_requests=5)
    )
    await world.admitted()


async def test_a_model_that_is_gone_is_known() -> None:
    world = World()
    gone = ProviderFailure("5028", "gone", FailureAction.FALL_BACK, trip=Trip(CircuitClass.RETIRED))
    await world.admission.failed(await world.admitted(), gone)
    assert world.admission.is_retired(LLAMA)


async def test_nobody_waits_while_the_process_stops() -> None:
    world = World()
    world.admission.stop_waiting()
    await world.admission.wait(world.clock.now() + timedelta(hours=1))
