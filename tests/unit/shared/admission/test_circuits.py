"""Circuits of two workers that share one truth."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from shared.admission.circuits import Circuits
from shared.domain.catalog import CLOUDFLARE
from shared.domain.circuits import EVERY_MODEL, CircuitClass, CircuitKey, Trip
from shared.domain.errors import DatabaseUnavailableError, FailureAction, ProviderFailure
from shared.domain.routes import Candidate
from shared.ports.admission import Admitted, HeldUp
from tests.support.fakes_of_circuits import CountingHint, MemoryCircuits, SeenCircuits
from tests.support.fakes_of_time import StillClock

SECOND = timedelta(seconds=1)
LLAMA = Candidate(CLOUDFLARE, "llama")
GEMMA = Candidate(CLOUDFLARE, "gemma")


def _failure(
    trip: Trip | None, retry_after: timedelta | None = None, *, is_known: bool = True
) -> ProviderFailure:
    return ProviderFailure(
        "e1", "it failed", FailureAction.FALL_BACK, retry_after, trip=trip, is_known=is_known
    )


OUTAGE = _failure(Trip(CircuitClass.FAILING))
SPENT = _failure(Trip(CircuitClass.MONEY, every_model=True))
TOO_FAST = _failure(Trip(CircuitClass.RATE), 3 * SECOND)
GONE = _failure(Trip(CircuitClass.RETIRED))


@dataclass
class World:
    clock: StillClock = field(default_factory=StillClock)
    truth: MemoryCircuits = field(default_factory=MemoryCircuits)
    hint: CountingHint = field(default_factory=CountingHint)
    seen: SeenCircuits = field(default_factory=SeenCircuits)

    def worker(self) -> Circuits:
        return Circuits(self.truth, self.hint, self.clock, self.seen)

    def call(self, candidate: Candidate = LLAMA, probes: tuple[CircuitKey, ...] = ()) -> Admitted:
        return Admitted(candidate, 0, self.clock.now(), probes)

    async def opened_by_outage(self, worker: Circuits) -> None:
        for _ in range(5):
            await worker.failed(self.call(), OUTAGE)


async def _probes(worker: Circuits, candidate: Candidate = LLAMA) -> tuple[CircuitKey, ...]:
    passage = await worker.passage(candidate)
    assert not isinstance(passage, HeldUp)
    return passage


async def _held_up(worker: Circuits, candidate: Candidate = LLAMA) -> HeldUp:
    passage = await worker.passage(candidate)
    assert isinstance(passage, HeldUp)
    return passage


async def test_a_model_that_fails_five_times_in_a_row_is_let_alone() -> None:
    world = World()
    worker = world.worker()
    for _ in range(4):
        await worker.failed(world.call(), OUTAGE)
    assert await _probes(worker) == ()
    await worker.failed(world.call(), OUTAGE)
    held_up = await _held_up(worker)
    assert held_up.until == world.clock.now() + 5 * SECOND
    assert held_up.detail == "cloudflare is let alone: it failed"
    assert await _probes(worker, GEMMA) == ()
    assert world.hint.sent == 1


async def test_a_model_that_is_busy_now_and_then_is_called_on() -> None:
    world = World()
    worker = world.worker()
    busy = _failure(Trip(CircuitClass.RATE, is_by_chance=True))
    for _ in range(20):
        await worker.failed(world.call(), busy)
        await worker.answered(world.call())
    assert await _probes(worker) == ()
    for _ in range(5):
        await worker.failed(world.call(), busy)
    assert (await _held_up(worker)).until == world.clock.now() + 2 * SECOND


async def test_other_workers_learn_of_it_when_they_look() -> None:
    world = World()
    other = world.worker()
    await world.opened_by_outage(world.worker())
    assert await _probes(other) == ()
    await other.refresh()
    assert (await _held_up(other)).code == "e1"
    assert [str(c.key) for c in world.seen.not_closed] == ["cloudflare/llama: failing"]


async def test_a_restarted_worker_knows_what_was_open() -> None:
    world = World()
    await world.opened_by_outage(world.worker())
    restarted = world.worker()
    await restarted.refresh()
    assert isinstance(await restarted.passage(LLAMA), HeldUp)


async def test_an_account_without_money_concerns_all_models() -> None:
    world = World()
    worker = world.worker()
    await worker.failed(world.call(), SPENT)
    assert (await _held_up(worker, GEMMA)).until == world.clock.now() + timedelta(minutes=5)


async def test_failures_of_calls_under_way_open_a_circuit_once() -> None:
    world = World()
    worker = world.worker()
    calls = [world.call() for _ in range(20)]
    world.clock.advance(SECOND)
    for call in calls:
        await worker.failed(call, TOO_FAST)
    (circuit,) = await world.truth.not_closed()
    assert circuit.openings == 1
    assert world.seen.moves == [("cloudflare/llama: rate", "open")]


async def test_one_call_tries_for_all_workers() -> None:
    world = World()
    first, second = world.worker(), world.worker()
    await world.opened_by_outage(first)
    await second.refresh()
    world.clock.advance(5 * SECOND)
    key = CircuitKey(CLOUDFLARE, "llama", CircuitClass.FAILING)
    assert await _probes(first) == (key,)
    assert (await _held_up(first)).until == world.clock.now() + SECOND / 2
    assert (await _held_up(second)).code == "trying"
    assert (await _held_up(second)).code == "e1"


async def test_after_a_try_that_was_answered_calls_return_step_by_step() -> None:
    world = World()
    worker = world.worker()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.answered(world.call(probes=await _probes(worker)))
    admitted: list[int] = []
    for _ in range(50):
        passages = [await worker.passage(LLAMA) for _ in range(40)]
        admitted.append(sum(not isinstance(one, HeldUp) for one in passages))
        world.clock.advance(SECOND / 10)
    assert admitted[0] <= 2
    assert sum(admitted[:10]) < 20
    assert admitted[-1] >= 36
    assert world.seen.moves[-1] == ("cloudflare/llama: failing", "recovering")


async def test_a_recovered_circuit_is_closed_and_counts_from_one_again() -> None:
    world = World()
    worker = world.worker()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.answered(world.call(probes=await _probes(worker)))
    world.clock.advance(10 * SECOND)
    await worker.refresh()
    assert await world.truth.not_closed() == []
    await worker.refresh()
    assert await _probes(worker) == ()
    await world.opened_by_outage(worker)
    (circuit,) = await world.truth.not_closed()
    assert circuit.openings == 1


async def test_a_try_that_fails_opens_the_circuit_for_twice_as_long() -> None:
    world = World()
    worker = world.worker()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.failed(world.call(probes=await _probes(worker)), OUTAGE)
    assert (await _held_up(worker)).until == world.clock.now() + 10 * SECOND


async def test_a_try_that_is_too_fast_shows_that_the_outage_is_over() -> None:
    world = World()
    worker = world.worker()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.failed(world.call(probes=await _probes(worker)), TOO_FAST)
    states = {str(c.key): c.state.value for c in await world.truth.not_closed()}
    assert states == {"cloudflare/llama: failing": "recovering", "cloudflare/llama: rate": "open"}


async def test_a_try_that_was_not_made_is_free_for_the_next_call() -> None:
    world = World()
    worker = world.worker()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.not_called(world.call(probes=await _probes(worker)))
    assert len(await _probes(worker)) == 1


async def test_a_late_failure_does_not_end_a_recovery() -> None:
    world = World()
    worker = world.worker()
    late = world.call()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.answered(world.call(probes=await _probes(worker)))
    for _ in range(9):
        await worker.failed(late, OUTAGE)
    assert (await world.truth.not_closed())[0].state.value == "recovering"


async def test_a_request_that_is_wrong_says_nothing_about_the_provider() -> None:
    world = World()
    worker = world.worker()
    for _ in range(30):
        await worker.failed(world.call(), _failure(None))
    assert await _probes(worker) == ()
    assert world.seen.unknown == []


async def test_an_error_that_nobody_knows_is_counted() -> None:
    world = World()
    await world.worker().failed(world.call(), _failure(None, is_known=False))
    assert world.seen.unknown == [CLOUDFLARE]


async def test_a_limit_by_the_clocks_minute_is_waited_for() -> None:
    world = World()
    worker = world.worker()
    world.clock.advance(20 * SECOND)
    by_minute = _failure(Trip(CircuitClass.RATE, until_next_minute=True))
    await worker.failed(world.call(), by_minute)
    assert (await _held_up(worker)).until == world.clock.now() + 41 * SECOND


async def test_a_model_that_is_gone_is_known_by_all() -> None:
    world = World()
    worker, other = world.worker(), world.worker()
    await worker.failed(world.call(), GONE)
    await other.refresh()
    assert worker.is_retired(LLAMA)
    assert other.is_retired(LLAMA)
    assert not other.is_retired(GEMMA)


async def test_without_the_database_a_worker_goes_by_what_it_sees() -> None:
    world = World()
    worker = world.worker()
    world.truth.is_away = True
    await worker.failed(world.call(), SPENT)
    with pytest.raises(DatabaseUnavailableError):
        await worker.refresh()
    assert isinstance(await worker.passage(LLAMA), HeldUp)


async def test_who_waits_looks_again_when_a_circuit_has_moved() -> None:
    world = World()
    worker = world.worker()
    await worker.failed(world.call(), SPENT)
    waiting = asyncio.create_task(worker.wait(world.clock.now() + timedelta(hours=1)))
    await asyncio.sleep(0)
    await world.truth.reset(CLOUDFLARE, "key_test")
    await worker.refresh()
    async with asyncio.timeout(1):
        await waiting


async def test_who_waits_returns_when_the_time_has_come() -> None:
    world = World()
    async with asyncio.timeout(1):
        await world.worker().wait(world.clock.now() + SECOND / 100)


async def test_a_providers_circuit_stands_for_every_model() -> None:
    world = World()
    await world.worker().failed(world.call(), SPENT)
    ((key, _),) = world.truth.circuits.items()
    assert key.model == EVERY_MODEL
