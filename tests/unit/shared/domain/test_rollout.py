from decimal import Decimal

from shared.domain.ids import UserId
from shared.domain.rollout import arm_of, bucket, is_inside


def test_a_bucket_never_changes() -> None:
    assert bucket("cloudflare", UserId("alice")) == 1451


def test_experiments_draw_independently() -> None:
    assert bucket("a", UserId("alice")) != bucket("b", UserId("alice"))


def test_experiment_and_user_are_kept_apart() -> None:
    assert bucket("ab", UserId("c")) != bucket("a", UserId("bc"))


def test_nobody_is_inside_at_zero_and_everybody_at_a_hundred_percent() -> None:
    users = [UserId(f"user-{number}") for number in range(1_000)]

    assert not any(is_inside("cloudflare", user, Decimal(0)) for user in users)
    assert all(is_inside("cloudflare", user, Decimal(100)) for user in users)


def test_the_share_is_within_half_a_percent_of_what_was_asked_at_100_000_users() -> None:
    buckets = [bucket("cloudflare", UserId(f"user-{number}")) for number in range(100_000)]

    for percent in (1, 10, 50, 90):
        inside = sum(drawn < percent * 100 for drawn in buckets)
        assert abs(inside / 1_000 - percent) <= 0.5


def test_arms_are_named_by_rollout_and_side() -> None:
    assert arm_of("cloudflare", inside=True) == "cloudflare:inside"
    assert arm_of("cloudflare", inside=False) == "cloudflare:outside"
