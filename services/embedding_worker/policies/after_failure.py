"""What follows a failed call: smaller batches, another space, another try later, or the end."""

from dataclasses import dataclass
from datetime import timedelta

from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.retry import MAX_FAILED_ATTEMPTS, next_delay
from shared.domain.views import ErrorView


@dataclass(frozen=True, slots=True)
class Halve:
    """Embed the batch as two."""


@dataclass(frozen=True, slots=True)
class NextTarget:
    """Embed what is left in the next target's space."""


@dataclass(frozen=True, slots=True)
class TryLater:
    """Queue the job again after `delay`."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the job with an error."""

    error: ErrorView


AfterFailure = Halve | NextTarget | TryLater | GiveUp


@dataclass(frozen=True, slots=True)
class FailureFacts:
    """What the decision depends on.

    Attributes:
        failure: What the provider said.
        failures: How many attempts of the job have failed, this one included.
        texts: How many the batch had.
        has_next: Whether another target may take what is left.
    """

    failure: ProviderFailure
    failures: int
    texts: int
    has_next: bool


def after_failure(facts: FailureFacts) -> AfterFailure:
    """Decide what follows a failed call."""
    failure = facts.failure
    if failure.action is FailureAction.FAIL:
        return GiveUp(ErrorView(failure.code, failure.message))
    if failure.action is FailureAction.SPLIT:
        if facts.texts > 1:
            return Halve()
        return GiveUp(ErrorView("text_too_long", "a text is longer than the model takes"))
    if facts.has_next:
        return NextTarget()
    if facts.failures >= MAX_FAILED_ATTEMPTS:
        return GiveUp(
            ErrorView("provider_unavailable", f"no provider answered in {facts.failures} attempts")
        )
    return TryLater(next_delay(facts.failures, failure.retry_after, jitter=0.0))
