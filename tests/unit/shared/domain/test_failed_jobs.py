from datetime import timedelta

from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.failed_jobs import GiveUp, TryLater, later_or_never, refused
from shared.domain.retry import MAX_FAILED_ATTEMPTS
from shared.domain.views import ErrorView

DOWN = ProviderFailure("3040", "no capacity", FailureAction.FALL_BACK)


def test_a_refused_request_ends_with_the_providers_words() -> None:
    assert refused(DOWN) == GiveUp(ErrorView("3040", "no capacity"))


def test_a_job_comes_back_ever_later_and_then_no_more() -> None:
    following = [later_or_never(DOWN, number) for number in range(1, MAX_FAILED_ATTEMPTS + 1)]
    *later, last = following
    delays = [one.delay for one in later if isinstance(one, TryLater)]
    assert len(delays) == MAX_FAILED_ATTEMPTS - 1
    assert delays == sorted(delays)
    assert isinstance(last, GiveUp)
    assert last.error.code == "provider_unavailable"


def test_a_job_never_comes_back_before_the_provider_wants_it() -> None:
    hour = timedelta(hours=1)
    busy = ProviderFailure("3040", "no capacity", FailureAction.FALL_BACK, hour)
    assert later_or_never(busy, 1) == TryLater(hour)
