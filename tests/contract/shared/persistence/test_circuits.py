"""What workers may expect of the circuits they share: of the fake and the real ones alike."""

from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.circuits import Circuit, CircuitClass, CircuitKey, CircuitState
from shared.persistence.engine import create_engine
from shared.persistence.repositories.circuits import PostgresCircuits
from shared.ports.circuits import CircuitRepository
from tests.support.fakes_of_circuits import MemoryCircuits

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
LLAMA = CircuitKey(CLOUDFLARE, "llama", CircuitClass.FAILING)


@pytest.fixture
async def circuits(address: str) -> AsyncGenerator[CircuitRepository]:
    if not address:
        yield MemoryCircuits()
        return
    engine = create_engine(address)
    repository = PostgresCircuits(engine)
    for provider in (CLOUDFLARE, OPENAI):
        await repository.reset(provider, "key_test")
    yield repository
    await engine.dispose()


def _open(
    key: CircuitKey = LLAMA, at: datetime = NOW, seconds: int = 5, openings: int = 1
) -> Circuit:
    until = at + seconds * SECOND
    return Circuit(key, CircuitState.OPEN, at, until, openings, "3040", "out of capacity")


async def _only(circuits: CircuitRepository) -> Circuit:
    (circuit,) = await circuits.not_closed()
    return circuit


async def test_a_circuit_that_opened_is_seen_as_it_is(circuits: CircuitRepository) -> None:
    await circuits.trip(_open())
    assert await circuits.not_closed() == [_open()]


async def test_failures_of_one_time_open_a_circuit_once(circuits: CircuitRepository) -> None:
    await circuits.trip(_open())
    await circuits.trip(_open(at=NOW + SECOND, seconds=9, openings=2))
    circuit = await _only(circuits)
    assert (circuit.openings, circuit.opened_at) == (1, NOW)
    assert circuit.open_until == NOW + 10 * SECOND


async def test_a_circuit_that_opens_again_counts_on(circuits: CircuitRepository) -> None:
    await circuits.trip(_open())
    later = NOW + 6 * SECOND
    await circuits.trip(_open(at=later, openings=1))
    circuit = await _only(circuits)
    assert (circuit.openings, circuit.opened_at) == (2, later)


async def test_one_call_tries_at_a_time(circuits: CircuitRepository) -> None:
    await circuits.trip(_open())
    assert not await circuits.take_probe(LLAMA, NOW + SECOND, SECOND)
    assert await circuits.take_probe(LLAMA, NOW + 5 * SECOND, 30 * SECOND)
    assert not await circuits.take_probe(LLAMA, NOW + 6 * SECOND, SECOND)
    assert (await _only(circuits)).state is CircuitState.HALF_OPEN


async def test_a_try_whose_worker_died_is_made_by_another(circuits: CircuitRepository) -> None:
    await circuits.trip(_open())
    await circuits.take_probe(LLAMA, NOW + 5 * SECOND, 30 * SECOND)
    assert await circuits.take_probe(LLAMA, NOW + 35 * SECOND, SECOND)


async def test_a_try_that_was_not_made_is_free_at_once(circuits: CircuitRepository) -> None:
    await circuits.trip(_open())
    await circuits.take_probe(LLAMA, NOW + 5 * SECOND, 30 * SECOND)
    await circuits.drop_probe(LLAMA)
    assert await circuits.take_probe(LLAMA, NOW + 6 * SECOND, SECOND)


async def test_nobody_tries_for_a_closed_circuit(circuits: CircuitRepository) -> None:
    assert not await circuits.take_probe(LLAMA, NOW, SECOND)
    await circuits.drop_probe(LLAMA)
    await circuits.recover(LLAMA, NOW)
    assert await circuits.not_closed() == []


async def test_recovery_begins_once(circuits: CircuitRepository) -> None:
    await circuits.trip(_open())
    await circuits.recover(LLAMA, NOW + 6 * SECOND)
    await circuits.recover(LLAMA, NOW + 8 * SECOND)
    circuit = await _only(circuits)
    assert circuit.state is CircuitState.RECOVERING
    assert circuit.recovers_from == NOW + 6 * SECOND
    assert not await circuits.take_probe(LLAMA, NOW + 9 * SECOND, SECOND)


async def test_a_failure_while_it_recovers_opens_it_again(circuits: CircuitRepository) -> None:
    await circuits.trip(_open())
    await circuits.recover(LLAMA, NOW + 6 * SECOND)
    await circuits.trip(_open(at=NOW + 7 * SECOND, openings=2))
    circuit = await _only(circuits)
    assert (circuit.state, circuit.openings) == (CircuitState.OPEN, 2)
    assert (circuit.recovers_from, circuit.probe_until) == (None, None)


async def test_a_recovered_circuit_is_forgotten(circuits: CircuitRepository) -> None:
    await circuits.trip(_open())
    await circuits.recover(LLAMA, NOW + 6 * SECOND)
    await circuits.close([await _only(circuits)])
    assert await circuits.not_closed() == []


async def test_a_circuit_that_opened_meanwhile_is_not_forgotten(
    circuits: CircuitRepository,
) -> None:
    await circuits.trip(_open())
    await circuits.recover(LLAMA, NOW + 6 * SECOND)
    recovered = await _only(circuits)
    await circuits.trip(_open(at=NOW + 20 * SECOND))
    await circuits.close([recovered])
    assert (await _only(circuits)).state is CircuitState.OPEN


@pytest.mark.parametrize(("provider", "left"), [(CLOUDFLARE, 0), (OPENAI, 1)])
async def test_a_person_closes_a_providers_circuits(
    circuits: CircuitRepository, provider: Provider, left: int
) -> None:
    await circuits.trip(_open())
    assert len(await circuits.reset(provider, "key_test")) == 1 - left
    assert len(await circuits.not_closed()) == left
