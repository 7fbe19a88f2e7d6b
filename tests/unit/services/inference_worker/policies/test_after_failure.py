from datetime import timedelta

import pytest

from services.inference_worker.policies.after_failure import (
    AfterFailure,
    FailureFacts,
    NextCandidate,
    after_failure,
)
from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.failed_jobs import GiveUp, TryLater
from shared.domain.jobs import OnInterrupt
from shared.domain.retry import MAX_FAILED_ATTEMPTS

_TEMPORARY = [action for action in FailureAction if action is not FailureAction.FAIL]


def _after(
    action: FailureAction = FailureAction.FALL_BACK,
    *,
    failures: int = 1,
    has_next: bool = False,
    interrupted: bool = False,
    retry_after: timedelta | None = None,
) -> AfterFailure:
    return after_failure(
        FailureFacts(
            failure=ProviderFailure("code", "message", action, retry_after),
            failures=failures,
            has_next=has_next,
            text_was_sent=interrupted,
            on_interrupt=OnInterrupt.FAIL if interrupted else OnInterrupt.RESTART,
        )
    )


@pytest.mark.parametrize("action", _TEMPORARY)
def test_while_there_is_a_candidate_it_is_asked(action: FailureAction) -> None:
    assert _after(action, has_next=True, failures=99) == NextCandidate()


@pytest.mark.parametrize("has_next", [True, False])
def test_a_request_that_is_wrong_is_not_tried_again(*, has_next: bool) -> None:
    following = _after(FailureAction.FAIL, has_next=has_next)
    assert isinstance(following, GiveUp)
    assert following.error.code == "code"


def test_a_client_may_prefer_the_end_to_a_restart() -> None:
    following = _after(has_next=True, interrupted=True)
    assert isinstance(following, GiveUp)
    assert following.error.code == "interrupted"


@pytest.mark.parametrize(("failures", "seconds"), [(1, 5), (2, 30), (3, 120), (4, 600), (7, 600)])
def test_each_failure_waits_longer(failures: int, seconds: int) -> None:
    assert _after(failures=failures) == TryLater(timedelta(seconds=seconds))


def test_the_provider_may_ask_for_more() -> None:
    later = timedelta(hours=2)
    assert _after(retry_after=later) == TryLater(later)


def test_there_is_an_end_to_trying() -> None:
    assert isinstance(_after(failures=MAX_FAILED_ATTEMPTS - 1), TryLater)
    assert isinstance(_after(failures=MAX_FAILED_ATTEMPTS), GiveUp)
