from cli.demo.questions import QUESTIONS_BY_TIER
from shared.domain.catalog import Tier


def test_every_tier_asks_ten_questions_and_no_question_comes_twice() -> None:
    assert set(QUESTIONS_BY_TIER) == set(Tier)
    assert [len(asked) for asked in QUESTIONS_BY_TIER.values()] == [10, 10, 10]
    assert len({one for asked in QUESTIONS_BY_TIER.values() for one in asked}) == 30
