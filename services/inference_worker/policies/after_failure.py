"""What follows a failed attempt: the next candidate, another try later, or the job's end."""

from dataclasses import dataclass
from datetime import timedelta

from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.jobs import OnInterrupt
from shared.domain.retry import MAX_FAILED_ATTEMPTS, next_delay
from shared.domain.views import ErrorView


@dataclass(frozen=True, slots=True)
class NextCandidate:
    """Ask the next candidate now."""


@dataclass(frozen=True, slots=True)
class TryLater:
    """Queue the job again after `delay`."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the job with an error."""

    error: ErrorView


AfterFailure = NextCandidate | TryLater | GiveUp


@dataclass(frozen=True, slots=True)
class FailureFacts:
    """What the decision depends on.

    Attributes:
        failure: What the provider said.
        failures: How many attempts of the job have failed, this one included.
        has_next: Whether a candidate is left.
        text_was_sent: Whether the client has seen a part of this attempt's answer.
        on_interrupt: What the client chose for that case.
    """

    failure: ProviderFailure
    failures: int
    has_next: bool
    text_was_sent: bool
    on_interrupt: OnInterrupt


def after_failure(facts: FailureFacts) -> AfterFailure:
    """Decide what follows a failed attempt."""
    failure = facts.failure
    if failure.action is FailureAction.FAIL:
        return GiveUp(ErrorView(failure.code, failure.message))
    if facts.text_was_sent and facts.on_interrupt is OnInterrupt.FAIL:
        return GiveUp(ErrorView("interrupted", "the answer was cut off midway"))
    if facts.has_next:
        return NextCandidate()
    if facts.failures >= MAX_FAILED_ATTEMPTS:
        return GiveUp(
            ErrorView("provider_unavailable", f"no provider answered in {facts.failures} attempts")
        )
    return TryLater(next_delay(facts.failures, failure.retry_after, jitter=0.0))
