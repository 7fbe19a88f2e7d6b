"""What the API and workers may expect of rollouts: fakes and real ones alike."""

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from decimal import Decimal

import pytest

from shared.domain.rollout import CLOUDFLARE_ROLLOUT
from shared.persistence.engine import create_engine
from shared.persistence.repositories.audit import PostgresAuditTrail
from shared.persistence.repositories.rollouts import PostgresRollouts
from shared.ports.gates import AuditTrail
from shared.ports.rollouts import RolloutChange, RolloutRepository
from tests.support.fakes_of_gates import ListedAudit
from tests.support.fakes_of_rollouts import MemoryRollouts
from tests.support.fakes_of_time import StillClock

Told = tuple[str | None, str | None, str, str, str]


@dataclass(frozen=True)
class Bench:
    """Rollouts, and what was written down about them."""

    rollouts: RolloutRepository
    audit: AuditTrail

    async def told(self) -> list[Told]:
        """From where, to where, by whom and why rollouts moved."""
        entries = await self.audit.page(0, 100)
        assert {(one.kind, one.scope) for one in entries} <= {("rollout", CLOUDFLARE_ROLLOUT)}
        return [(e.from_state, e.to_state, e.actor, e.by, e.reason) for e in entries]


@pytest.fixture
async def bench(address: str) -> AsyncGenerator[Bench]:
    if not address:
        audit = ListedAudit()
        yield Bench(MemoryRollouts(audit, StillClock()), audit)
        return
    engine = create_engine(address)
    yield Bench(PostgresRollouts(engine), PostgresAuditTrail(engine))
    await engine.dispose()


def _to(percent: str, by: str = "key-of-ann", reason: str = "why") -> RolloutChange:
    return RolloutChange(CLOUDFLARE_ROLLOUT, Decimal(percent), by, reason)


async def test_nobody_begins_with_a_rollout(bench: Bench) -> None:
    assert await bench.rollouts.get(CLOUDFLARE_ROLLOUT) is None
    assert [*await bench.rollouts.all()] == []


async def test_a_rollout_begins_once_whoever_comes_first(bench: Bench) -> None:
    first = await bench.rollouts.begin(_to("10.00", "setting"))
    assert (first.percent, first.generation, first.changed_by) == (Decimal(10), 1, "setting")
    assert await bench.rollouts.begin(_to("70")) == first
    assert await bench.rollouts.get(CLOUDFLARE_ROLLOUT) == first
    assert [*await bench.rollouts.all()] == [first]
    assert await bench.told() == [(None, "10", "setting", "setting", "why")]


async def test_processes_that_start_together_begin_one_rollout(bench: Bench) -> None:
    begun = await asyncio.gather(*(bench.rollouts.begin(_to(f"{n}")) for n in range(1, 9)))
    assert len({one.percent for one in begun}) == 1
    assert len(await bench.told()) == 1


async def test_a_change_is_one_generation_on_and_audited(bench: Bench) -> None:
    await bench.rollouts.begin(_to("10"))
    moved = await bench.rollouts.change(_to("12.50", "key-of-bob", "all is well"))
    assert moved is not None
    assert (moved.percent, moved.generation) == (Decimal("12.5"), 2)
    assert (moved.changed_by, moved.reason) == ("key-of-bob", "all is well")
    assert await bench.rollouts.get(CLOUDFLARE_ROLLOUT) == moved
    assert (await bench.told())[1:] == [("10", "12.5", "person", "key-of-bob", "all is well")]


async def test_a_repeated_change_changes_nothing(bench: Bench) -> None:
    await bench.rollouts.begin(_to("10"))
    moved = await bench.rollouts.change(_to("50"))
    assert await bench.rollouts.change(_to("50.00", "key-of-bob")) == moved
    assert len(await bench.told()) == 2


async def test_what_was_changed_is_not_begun_again(bench: Bench) -> None:
    await bench.rollouts.begin(_to("10"))
    moved = await bench.rollouts.change(_to("50"))
    assert await bench.rollouts.begin(_to("10")) == moved


async def test_a_rollout_that_never_began_does_not_move(bench: Bench) -> None:
    assert await bench.rollouts.change(_to("50")) is None
    assert await bench.told() == []


async def test_changes_at_the_same_time_follow_each_other(bench: Bench) -> None:
    await bench.rollouts.begin(_to("0"))
    await asyncio.gather(*(bench.rollouts.change(_to(f"{n}")) for n in range(1, 9)))
    told = await bench.told()
    assert [one[1] for one in told[:-1]] == [one[0] for one in told[1:]]
    last = await bench.rollouts.get(CLOUDFLARE_ROLLOUT)
    assert last is not None
    assert (last.generation, f"{last.percent}") == (9, told[-1][1])
