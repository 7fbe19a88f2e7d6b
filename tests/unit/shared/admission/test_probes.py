"""Whether a provider is back: one call tries for all workers, and calls return step by step."""

from datetime import timedelta

from shared.domain.catalog import CLOUDFLARE
from shared.domain.circuits import EVERY_MODEL, CircuitClass, CircuitKey
from shared.ports.admission import HeldUp
from tests.support.circuit_world import (
    GEMMA,
    GONE,
    LLAMA,
    OUTAGE,
    SECOND,
    SPENT,
    TOO_FAST,
    World,
    held_up_of,
    passage_of,
    probes_of,
)


async def test_one_call_tries_for_all_workers() -> None:
    world = World()
    first, second = world.worker(), world.worker()
    await world.opened_by_outage(first)
    await second.refresh()
    world.clock.advance(5 * SECOND)
    key = CircuitKey(CLOUDFLARE, "llama", CircuitClass.FAILING)
    assert await probes_of(first) == (key,)
    assert (await held_up_of(first)).until == world.clock.now() + SECOND / 2
    assert (await held_up_of(second)).code == "trying"
    assert (await held_up_of(second)).code == "e1"


async def test_after_a_try_that_was_answered_calls_return_step_by_step() -> None:
    world = World()
    worker = world.worker()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.answered(world.call(probes=await probes_of(worker)))
    admitted: list[int] = []
    for _ in range(50):
        passages = [await passage_of(worker) for _ in range(40)]
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
    await worker.answered(world.call(probes=await probes_of(worker)))
    world.clock.advance(10 * SECOND)
    await worker.refresh()
    assert await world.truth.not_closed() == []
    await worker.refresh()
    assert await probes_of(worker) == ()
    await world.opened_by_outage(worker)
    (circuit,) = await world.truth.not_closed()
    assert circuit.openings == 1


async def test_a_try_that_fails_opens_the_circuit_for_twice_as_long() -> None:
    world = World()
    worker = world.worker()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.failed(world.call(probes=await probes_of(worker)), OUTAGE)
    assert (await held_up_of(worker)).until == world.clock.now() + 10 * SECOND


async def test_a_try_that_is_too_fast_shows_that_the_outage_is_over() -> None:
    world = World()
    worker = world.worker()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.failed(world.call(probes=await probes_of(worker)), TOO_FAST)
    states = {str(c.key): c.state.value for c in await world.truth.not_closed()}
    assert states == {"cloudflare/llama: failing": "recovering", "cloudflare/llama: rate": "open"}


async def test_a_try_that_was_not_made_is_free_for_the_next_call() -> None:
    world = World()
    worker = world.worker()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.not_called(world.call(probes=await probes_of(worker)))
    assert len(await probes_of(worker)) == 1


async def test_one_call_finds_out_whether_a_model_that_was_gone_is_back() -> None:
    world = World()
    worker = world.worker()
    await worker.failed(world.call(), GONE)
    world.clock.advance(timedelta(hours=1))
    assert not worker.is_retired(LLAMA)
    probes = await probes_of(worker)
    assert worker.is_retired(LLAMA)
    await worker.answered(world.call(probes=probes))
    assert not worker.is_retired(LLAMA)


async def test_a_model_that_is_still_gone_stays_retired() -> None:
    world = World()
    worker = world.worker()
    await worker.failed(world.call(), GONE)
    world.clock.advance(timedelta(hours=1))
    await worker.failed(world.call(probes=await probes_of(worker)), GONE)
    world.clock.advance(timedelta(minutes=90))
    assert worker.is_retired(LLAMA)


async def test_who_may_not_try_for_all_circuits_tries_for_none() -> None:
    world = World()
    worker, other = world.worker(), world.worker()
    await world.opened_by_outage(worker)
    await worker.failed(world.call(), SPENT)
    await other.refresh()
    world.clock.advance(timedelta(minutes=5))
    money = CircuitKey(CLOUDFLARE, EVERY_MODEL, CircuitClass.MONEY)
    assert await probes_of(other, GEMMA) == (money,)
    assert (await held_up_of(worker)).code == "trying"
    failing = world.truth.circuits[CircuitKey(CLOUDFLARE, "llama", CircuitClass.FAILING)]
    assert failing.probe_until is None
