"""What every provider's list of models must be, whichever API it came through.

Invariant: what is read is bounded, and an empty list is no list: it would tell that every model is
gone.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from shared.domain.model_states import ListedModel
from shared.providers.json_reading import MalformedAnswerError
from shared.providers.limits import TimeLimits

MOST_BYTES = 8 * 1024 * 1024
"""Of one answer; far more than a list of some hundred models needs."""
MOST_MODELS = 20_000
_MOST_SECONDS = 30.0
"""For a whole list, so that a worker that is told to stop need not wait for longer."""
_DAY_LENGTH = len("2026-11-22")


def list_limits(limits: TimeLimits) -> TimeLimits:
    """Return how long a list may take where calls of models have these limits."""
    return replace(limits, total=min(limits.total, _MOST_SECONDS))


def whole_list(models: Sequence[ListedModel]) -> Sequence[ListedModel]:
    """Return the models if they can be a provider's.

    Raises:
        MalformedAnswerError: There are none, or far too many.
    """
    if not models or len(models) > MOST_MODELS:
        raise MalformedAnswerError(f"a list of {len(models)} models")
    return models


def end_date(value: object) -> date | None:
    """Return the day on which a model ends: a date, or the date of a moment; nothing for null.

    Raises:
        MalformedAnswerError: It is neither.
    """
    if value is None or value == "":
        return None
    try:
        return date.fromisoformat(str(value)[:_DAY_LENGTH])
    except ValueError:
        raise MalformedAnswerError("an end that is no date") from None
