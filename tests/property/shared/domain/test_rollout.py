from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.ids import UserId
from shared.domain.rollout import BUCKETS, bucket, is_inside

NAMES = st.text(st.characters(exclude_categories=["Cs"]))
USERS = NAMES.map(UserId)
PERCENTAGES = st.decimals(min_value=0, max_value=100, places=2)


@given(NAMES, USERS)
def test_every_user_has_a_bucket(experiment: str, user: UserId) -> None:
    assert 0 <= bucket(experiment, user) < BUCKETS


@given(NAMES, USERS, PERCENTAGES, PERCENTAGES)
def test_raising_the_percentage_moves_nobody_out(
    experiment: str, user: UserId, first: Decimal, second: Decimal
) -> None:
    low, high = sorted((first, second))

    assert is_inside(experiment, user, high) or not is_inside(experiment, user, low)
