"""What becomes of a job when a call has failed and nobody else may be asked: later, or never.

A service decides first whether somebody else may be asked; what is left is the same for all.
"""

from dataclasses import dataclass
from datetime import timedelta

from shared.domain.errors import ProviderFailure
from shared.domain.retry import MAX_FAILED_ATTEMPTS, next_delay
from shared.domain.views import ErrorView


@dataclass(frozen=True, slots=True)
class TryLater:
    """Queue the job again after `delay`."""

    delay: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """End the job with an error."""

    error: ErrorView


def refused(failure: ProviderFailure) -> GiveUp:
    """Return the end of a job whose request nobody would take: its error is the provider's."""
    return GiveUp(ErrorView(failure.code, failure.message))


def later_or_never(failure: ProviderFailure, failures: int) -> TryLater | GiveUp:
    """Decide whether a job comes back; after an error that nobody knows it does so once.

    Args:
        failure: What the provider said last.
        failures: How many attempts of the job have failed, this one included.
    """
    if not failure.is_known and failures > 1:
        return GiveUp(ErrorView("provider_error", f"two attempts failed, the last: {failure.code}"))
    if failures >= MAX_FAILED_ATTEMPTS:
        return GiveUp(
            ErrorView("provider_unavailable", f"no provider answered in {failures} attempts")
        )
    return TryLater(next_delay(failures, failure.retry_after, jitter=0.0))
