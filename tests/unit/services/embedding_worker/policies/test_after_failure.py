from datetime import timedelta

import pytest

from services.embedding_worker.policies.after_failure import (
    FailureFacts,
    Halve,
    NextTarget,
    after_failure,
)
from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.failed_jobs import GiveUp, TryLater
from shared.domain.retry import MAX_FAILED_ATTEMPTS
from shared.domain.views import ErrorView


def _facts(
    action: FailureAction, *, failures: int = 1, texts: int = 2, has_next: bool = False
) -> FailureFacts:
    failure = ProviderFailure("3040", "no capacity", action, timedelta(seconds=90))
    return FailureFacts(failure, failures, texts, has_next)


def test_a_wrong_request_ends_the_job() -> None:
    expected = GiveUp(ErrorView("3040", "no capacity"))
    assert after_failure(_facts(FailureAction.FAIL, has_next=True)) == expected


def test_a_batch_that_is_too_large_is_halved() -> None:
    assert after_failure(_facts(FailureAction.SPLIT, has_next=True)) == Halve()


def test_a_single_text_that_is_too_large_ends_the_job() -> None:
    following = after_failure(_facts(FailureAction.SPLIT, texts=1))
    assert isinstance(following, GiveUp)
    assert following.error.code == "text_too_long"


@pytest.mark.parametrize(
    "action",
    [
        FailureAction.RETRY_HERE,
        FailureAction.BACK_OFF,
        FailureAction.FALL_BACK,
        FailureAction.STOP_UNTIL_MIDNIGHT,
    ],
)
def test_any_other_failure_goes_to_the_next_target(action: FailureAction) -> None:
    assert after_failure(_facts(action, has_next=True)) == NextTarget()


def test_without_a_next_target_the_job_waits_as_long_as_the_provider_asks() -> None:
    following = after_failure(_facts(FailureAction.BACK_OFF))
    assert following == TryLater(timedelta(seconds=90))


def test_a_job_is_not_tried_for_ever() -> None:
    following = after_failure(_facts(FailureAction.FALL_BACK, failures=MAX_FAILED_ATTEMPTS))
    assert isinstance(following, GiveUp)
    assert following.error.code == "provider_unavailable"
