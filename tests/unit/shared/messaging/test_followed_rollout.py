from decimal import Decimal

import pytest

from shared.domain.errors import DatabaseUnavailableError
from shared.domain.rollout import CLOUDFLARE_ROLLOUT
from shared.messaging.followed_rollout import FollowedRollout, cloudflare_rollout
from shared.ports.rollouts import RolloutChange
from tests.support.fakes_of_gates import ListedAudit
from tests.support.fakes_of_rollouts import MemoryRollouts
from tests.support.fakes_of_time import StillClock


@pytest.fixture
def rollouts() -> MemoryRollouts:
    return MemoryRollouts(ListedAudit(), StillClock())


def _followed(rollouts: MemoryRollouts, share: str = "0.1") -> FollowedRollout:
    return FollowedRollout(rollouts, cloudflare_rollout(Decimal(share)))


async def test_the_first_process_begins_with_the_setting(rollouts: MemoryRollouts) -> None:
    first, second = _followed(rollouts), _followed(rollouts, "0.7")
    assert await first.is_read()
    assert await second.is_read()
    assert first.percent() == second.percent() == Decimal(10)


async def test_a_later_change_wins_over_the_setting(rollouts: MemoryRollouts) -> None:
    await _followed(rollouts).refresh()
    await rollouts.change(RolloutChange(CLOUDFLARE_ROLLOUT, Decimal("42.5"), "ann"))
    restarted = _followed(rollouts)
    await restarted.refresh()
    assert restarted.percent() == Decimal("42.5")


async def test_nobody_is_routed_before_the_first_read(rollouts: MemoryRollouts) -> None:
    rollouts.is_away = True
    followed = _followed(rollouts)
    with pytest.raises(DatabaseUnavailableError):
        await followed.is_read()
    with pytest.raises(DatabaseUnavailableError, match="never read"):
        followed.percent()


async def test_the_last_percentage_outlasts_an_outage(rollouts: MemoryRollouts) -> None:
    followed = _followed(rollouts)
    await followed.refresh()
    rollouts.is_away = True
    with pytest.raises(DatabaseUnavailableError):
        await followed.refresh()
    assert followed.percent() == Decimal(10)


async def test_routing_asks_nobody(rollouts: MemoryRollouts) -> None:
    followed = _followed(rollouts)
    await followed.refresh()
    reads = rollouts.reads
    assert {followed.percent() for _ in range(100)} == {Decimal(10)}
    assert rollouts.reads == reads
