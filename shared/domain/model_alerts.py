"""What people are told of models that end, and how often: once per step.

Invariant: the step follows from a model's state and the day alone, so that any number of checks on
any number of processes name the same alert.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from shared.domain.model_states import ModelState, ModelStatus
from shared.domain.price_check import WARNING_DAYS
from shared.domain.routes import Candidate

_STEP_DAYS = (1, 7, WARNING_DAYS)
"""Days ahead at which people are told, the last warning first."""


@dataclass(frozen=True, slots=True)
class ModelAlert:
    """A sentence about one model, told once per step and occasion.

    Attributes:
        step: `30d`, `7d`, `1d`, `retired` or `missing`.
        occasion: The day on which the model ends, so that another day is news again; None for the
            moment since which it has been missing.
    """

    status: ModelStatus
    step: str
    occasion: datetime | None
    message: str


def alert_about(status: ModelStatus, successor: Candidate | None, today: date) -> ModelAlert | None:
    """Return what is to be told of a model today; None while all is well.

    Of several steps that a model has passed only the latest is told: the others say less.
    """
    if status.state in {ModelState.LISTED, ModelState.UNKNOWN}:
        return None
    occasion = None if status.state is ModelState.MISSING else _midnight(status.retires_on)
    news = _news(status, today)
    return ModelAlert(status, _step(status, today), occasion, f"{news}; {_advice(successor)}")


def _step(status: ModelStatus, today: date) -> str:
    if status.state is not ModelState.RETIRING:
        return status.state
    days = status.days_left(today) or 0
    return next(f"{step}d" for step in _STEP_DAYS if days <= step)


def _news(status: ModelStatus, today: date) -> str:
    if status.state is ModelState.RETIRED:
        return f"model {status} is retired since {status.retires_on}"
    if status.state is ModelState.MISSING:
        return f"model {status} is no longer in {status.provider}'s list of models"
    days = status.days_left(today)
    in_days = "1 day" if days == 1 else f"{days} days"
    return f"model {status} retires on {status.retires_on}, in {in_days}"


def _advice(successor: Candidate | None) -> str:
    if successor is None:
        return (
            "no successor is configured: calls will go to the route's next candidate; "
            "name a successor in the routing table, or route another model"
        )
    return (
        f"its successor {successor} takes over once calls are refused; "
        "compare price and answers, and route it by then"
    )


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time.min, UTC)
