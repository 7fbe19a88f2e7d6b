"""What every provider's list of models must be, whichever API it came through.

Invariant: what is read is bounded, and an empty list is no list: it would tell that every model is
gone.
"""

from collections.abc import Sequence
from datetime import date

from shared.domain.model_states import ListedModel
from shared.providers.json_reading import MalformedAnswerError

MOST_BYTES = 8 * 1024 * 1024
"""Of one answer; far more than a list of some hundred models needs."""
MOST_MODELS = 20_000
_DAY_LENGTH = len("2026-11-22")


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
