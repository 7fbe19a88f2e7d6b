"""The rollout through the very route that the worker asks."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.inference_worker.main import RoutedByTable
from shared.domain.catalog import CLOUDFLARE, OPENAI, Operation, Tier
from shared.domain.ids import JobId, KeyId, UserId
from shared.domain.routes import Hedge, Routed
from shared.domain.routing import decided_by_rollout
from shared.messages.commands import CompleteChat
from shared.messaging.followed_rollout import FollowedRollout, cloudflare_rollout
from shared.ports.rollouts import RolloutChange
from shared.providers.routing_file import load_routing_table
from tests.support.fakes_of_gates import ListedAudit
from tests.support.fakes_of_rollouts import MemoryRollouts
from tests.support.fakes_of_time import StillClock

_TABLE = load_routing_table(Path(__file__).parents[4] / "deploy" / "routing.toml")
_USERS = [UserId(f"user-{number}") for number in range(100_000)]
_ALL = Decimal(100)
_INSIDE, _OUTSIDE = "cloudflare:inside", "cloudflare:outside"


def _job(user_id: UserId, tier: Tier = Tier.FREE, model: str = "auto") -> CompleteChat:
    return CompleteChat(
        message_id="start",
        correlation_id="job",
        occurred_at=StillClock().now(),
        job_id=JobId("job"),
        user_id=user_id,
        key_id=KeyId("key"),
        tier=tier,
        model=model,
        input_tokens_bound=1,
        max_output_tokens=1,
    )


def _route(percent: Decimal) -> Callable[[CompleteChat], Routed]:
    return RoutedByTable(_TABLE, lambda: percent)


def _providers(routed: Routed) -> Sequence[str]:
    return [candidate.provider for candidate in routed.candidates]


@pytest.fixture(scope="module")
def jobs() -> Sequence[CompleteChat]:
    """A free user's job for each of 100,000 users."""
    job = _job(UserId("nobody"))
    return [job.model_copy(update={"user_id": user}) for user in _USERS]


async def test_100_000_users_at_10_50_and_100_percent_none_of_whom_moves_back(
    jobs: Sequence[CompleteChat],
) -> None:
    rollouts = MemoryRollouts(ListedAudit(), StillClock())
    followed = FollowedRollout(rollouts, cloudflare_rollout(Decimal(0)))
    route = RoutedByTable(_TABLE, followed.percent)
    before: set[UserId] = set()
    await followed.refresh()
    for percent in (10, 50, 100):
        await rollouts.change(RolloutChange("cloudflare", Decimal(percent), "ann"))
        await followed.refresh()
        routed = [(job.user_id, route(job)) for job in jobs]
        inside = {user for user, one in routed if one.candidates[0].provider == CLOUDFLARE}
        assert abs(Decimal(len(inside)) / len(jobs) * 100 - percent) <= Decimal("0.5")
        assert inside == {user for user, one in routed if one.arm == _INSIDE}
        assert before <= inside
        before = inside
    assert len(before) == len(jobs)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(UserId),
    st.lists(st.decimals(min_value=0, max_value=100, places=2), min_size=2).map(sorted),
)
def test_raising_step_by_step_moves_nobody_back(user: UserId, steps: Sequence[Decimal]) -> None:
    arms = [_route(percent)(_job(user)).arm for percent in steps]
    assert arms == sorted(arms, reverse=True)


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1).map(UserId),
    st.decimals(min_value=0, max_value=100, places=2),
)
def test_a_user_stays_where_they_are(user: UserId, percent: Decimal) -> None:
    first, again = _route(percent)(_job(user)), _route(percent)(_job(user))
    assert first == again


@pytest.mark.parametrize("tier", [Tier.PAID, Tier.PREMIUM])
def test_a_tier_that_pays_has_an_arm_but_the_same_route(tier: Tier) -> None:
    inside, outside = (_route(Decimal(p))(_job(UserId("ann"), tier)) for p in (100, 0))
    assert (inside.arm, outside.arm) == (_INSIDE, _OUTSIDE)
    assert inside.candidates == outside.candidates


def test_the_other_provider_is_the_fallback_on_either_side() -> None:
    inside, outside = (_route(Decimal(p))(_job(UserId("ann"))) for p in (100, 0))
    assert _providers(inside) == [CLOUDFLARE, OPENAI]
    assert _providers(outside) == [OPENAI, CLOUDFLARE]


def test_the_rollout_decides_the_free_routes_alone() -> None:
    assert {tier for tier, _ in decided_by_rollout(_TABLE)} == {Tier.FREE}


def test_a_hedge_is_for_those_who_leave_the_model_to_the_table() -> None:
    hedge, key = Hedge(timedelta(seconds=1), Decimal(5)), (Tier.PREMIUM, Operation.CHAT)
    hedged = replace(_TABLE.routes[key], hedge=hedge)
    route = RoutedByTable(replace(_TABLE, routes={**_TABLE.routes, key: hedged}), lambda: _ALL)
    user = UserId("ann")
    assert route(_job(user, Tier.PREMIUM)).hedge == hedge
    assert route(_job(user, Tier.PREMIUM, "premium")).hedge is None
    assert route(_job(user, Tier.PAID)).hedge is None
