"""Rollouts as ops see them, and how the arms compare."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, PlainSerializer

from services.api.schemas.reports import share
from shared.domain.rollout import Rollout
from shared.messages.frames import Usd
from shared.ports.reports import UsageRow

Percent = Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
_A_MILLIONTH = Decimal("0.000001")


class RolloutView(BaseModel):
    """How far a rollout has come; `percent` is of all users."""

    name: str
    percent: Percent
    generation: int
    changed_at: datetime
    changed_by: str
    reason: str


class RolloutList(BaseModel):
    """Every rollout."""

    data: list[RolloutView]


class ArmDay(BaseModel):
    """What an arm's calls of one day (UTC) came to; rates are of requests, null where none was.

    Only calls count whose route the rollout decides.
    """

    day: date
    requests: int
    fallback_rate: float | None
    error_rate: float | None
    cost_usd: Usd
    cost_per_1000_requests_usd: Usd | None
    p50_ms: int | None
    p95_ms: int | None


class ArmView(BaseModel):
    """One side of a rollout."""

    arm: str
    today: ArmDay
    yesterday: ArmDay


class RolloutComparison(RolloutView):
    """A rollout with what its arms come to."""

    arms: list[ArmView]


def rollout_view(rollout: Rollout) -> RolloutView:
    """Return a rollout's body."""
    return RolloutView(
        name=rollout.name,
        percent=rollout.percent,
        generation=rollout.generation,
        changed_at=rollout.changed_at,
        changed_by=rollout.changed_by,
        reason=rollout.reason,
    )


def rollout_comparison(rollout: Rollout, arms: Sequence[ArmView]) -> RolloutComparison:
    """Return a rollout's body with its arms."""
    return RolloutComparison.model_validate({**dict(rollout_view(rollout)), "arms": arms})


def arm_day(day: date, row: UsageRow) -> ArmDay:
    """Return a day of an arm."""
    requests = row.requests
    return ArmDay(
        day=day,
        requests=requests,
        fallback_rate=share(row.fallbacks, requests) if requests else None,
        error_rate=share(row.errors, requests) if requests else None,
        cost_usd=row.cost_usd,
        cost_per_1000_requests_usd=_per_thousand(row.cost_usd, requests) if requests else None,
        p50_ms=row.p50_ms,
        p95_ms=row.p95_ms,
    )


def _per_thousand(cost_usd: Decimal, requests: int) -> Decimal:
    return (cost_usd * 1000 / requests).quantize(_A_MILLIONTH)
