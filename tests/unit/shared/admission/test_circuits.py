"""Circuits of workers that share one truth: when they open."""

import asyncio
from datetime import timedelta

import pytest

from shared.domain.catalog import CLOUDFLARE
from shared.domain.circuits import EVERY_MODEL, CircuitClass, Trip
from shared.domain.errors import DatabaseUnavailableError
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
    failure,
    held_up_of,
    passage_of,
    probes_of,
)


async def test_a_model_that_fails_five_times_in_a_row_is_let_alone() -> None:
    world = World()
    worker = world.worker()
    for _ in range(4):
        await worker.failed(world.call(), OUTAGE)
    assert await probes_of(worker) == ()
    await worker.failed(world.call(), OUTAGE)
    held_up = await held_up_of(worker)
    assert held_up.until == world.clock.now() + 5 * SECOND
    assert held_up.detail == "cloudflare is let alone: it failed"
    assert await probes_of(worker, GEMMA) == ()
    assert world.hint.sent == 1


async def test_a_model_that_is_busy_now_and_then_is_called_on() -> None:
    world = World()
    worker = world.worker()
    busy = failure(Trip(CircuitClass.RATE, is_by_chance=True))
    for _ in range(20):
        await worker.failed(world.call(), busy)
        await worker.answered(world.call())
    assert await probes_of(worker) == ()
    for _ in range(5):
        await worker.failed(world.call(), busy)
    assert (await held_up_of(worker)).until == world.clock.now() + 2 * SECOND


async def test_other_workers_learn_of_it_when_they_look() -> None:
    world = World()
    other = world.worker()
    await world.opened_by_outage(world.worker())
    assert await probes_of(other) == ()
    await other.refresh()
    assert (await held_up_of(other)).code == "e1"
    assert [str(c.key) for c in world.seen.not_closed] == ["cloudflare/llama: failing"]


async def test_a_restarted_worker_knows_what_was_open() -> None:
    world = World()
    await world.opened_by_outage(world.worker())
    restarted = world.worker()
    await restarted.refresh()
    assert isinstance(await passage_of(restarted), HeldUp)


async def test_an_account_without_money_concerns_all_models() -> None:
    world = World()
    worker = world.worker()
    await worker.failed(world.call(), SPENT)
    assert (await held_up_of(worker, GEMMA)).until == world.clock.now() + timedelta(minutes=5)


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


async def test_a_late_failure_does_not_end_a_recovery() -> None:
    world = World()
    worker = world.worker()
    late = world.call()
    await world.opened_by_outage(worker)
    world.clock.advance(5 * SECOND)
    await worker.answered(world.call(probes=await probes_of(worker)))
    for _ in range(9):
        await worker.failed(late, OUTAGE)
    assert (await world.truth.not_closed())[0].state.value == "recovering"


async def test_a_request_that_is_wrong_says_nothing_about_the_provider() -> None:
    world = World()
    worker = world.worker()
    for _ in range(30):
        await worker.failed(world.call(), failure(None))
    assert await probes_of(worker) == ()
    assert world.seen.unknown == []


async def test_an_error_that_nobody_knows_is_counted() -> None:
    world = World()
    await world.worker().failed(world.call(), failure(None, is_known=False))
    assert world.seen.unknown == [CLOUDFLARE]


async def test_a_limit_by_the_clocks_minute_is_waited_for() -> None:
    world = World()
    worker = world.worker()
    world.clock.advance(20 * SECOND)
    by_minute = failure(Trip(CircuitClass.RATE, until_next_minute=True))
    await worker.failed(world.call(), by_minute)
    assert (await held_up_of(worker)).until == world.clock.now() + 41 * SECOND


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
    assert isinstance(await passage_of(worker), HeldUp)


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
