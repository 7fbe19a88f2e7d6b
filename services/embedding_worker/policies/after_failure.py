"""What follows a failed call: smaller batches, another space, another try later, or the end."""

from dataclasses import dataclass

from shared.domain.errors import FailureAction, ProviderFailure
from shared.domain.failed_jobs import GiveUp, TryLater, later_or_never, refused
from shared.domain.views import ErrorView


@dataclass(frozen=True, slots=True)
class Halve:
    """Embed the batch as two."""


@dataclass(frozen=True, slots=True)
class NextTarget:
    """Embed what is left in the next target's space."""


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
        return refused(failure)
    if failure.action is FailureAction.SPLIT:
        if facts.texts > 1:
            return Halve()
        return GiveUp(ErrorView("text_too_long", "a text is longer than the model takes"))
    if facts.has_next:
        return NextTarget()
    return later_or_never(failure, facts.failures)
