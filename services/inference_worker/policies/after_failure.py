"""What follows a failed attempt: the next candidate, another try later, or the job's end."""

from dataclasses import dataclass

from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.failed_jobs import GiveUp, TryLater, later_or_never, refused
from shared.domain.jobs import OnInterrupt
from shared.domain.views import ErrorView


@dataclass(frozen=True, slots=True)
class NextCandidate:
    """Ask the next candidate now."""


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
        return refused(failure)
    if facts.text_was_sent and facts.on_interrupt is OnInterrupt.FAIL:
        return GiveUp(ErrorView("interrupted", "the answer was cut off midway"))
    if facts.has_next:
        return NextCandidate()
    return later_or_never(failure, facts.failures)
