"""Shows rollouts and moves them while everything runs; workers are told by a hint."""

from collections.abc import Sequence
from datetime import timedelta

from services.api.schemas.requests import RolloutBody
from services.api.schemas.rollouts import (
    ArmView,
    RolloutComparison,
    RolloutList,
    RolloutView,
    arm_day,
    rollout_comparison,
    rollout_view,
)
from services.api.use_cases.refusals import not_found
from shared.domain.access import Caller
from shared.domain.catalog import Operation, Tier
from shared.domain.rollout import arm_of
from shared.ports.clock import Clock
from shared.ports.messaging import ControlHint
from shared.ports.reports import NO_USAGE_ROW, Reports
from shared.ports.rollouts import RolloutChange, RolloutRepository


class CompareArms:
    """Sums the arms of a rollout up, from rollups: however many calls there were.

    Args:
        reports: The rollups.
        routes: Those that a rollout decides.
        clock: Tells which day it is.
    """

    def __init__(
        self, reports: Reports, routes: Sequence[tuple[Tier, Operation]], clock: Clock
    ) -> None:
        self._reports = reports
        self._routes = routes
        self._clock = clock

    async def __call__(self, name: str) -> Sequence[ArmView]:
        """Return the arm inside the rollout, then the one outside."""
        today = self._clock.now().date()
        yesterday = today - timedelta(days=1)
        found = await self._reports.usage_by_arm(self._routes, yesterday, today)
        rows = {(row.keys["arm"], row.keys["day"]): row for row in found}
        return [
            ArmView(
                arm=arm,
                today=arm_day(today, rows.get((arm, f"{today}"), NO_USAGE_ROW)),
                yesterday=arm_day(yesterday, rows.get((arm, f"{yesterday}"), NO_USAGE_ROW)),
            )
            for arm in (arm_of(name, inside=True), arm_of(name, inside=False))
        ]


class AdminRollouts:
    """Rollouts and how their arms compare."""

    def __init__(
        self, rollouts: RolloutRepository, hint: ControlHint, compare_arms: CompareArms
    ) -> None:
        self._rollouts = rollouts
        self._hint = hint
        self._compare_arms = compare_arms

    async def all(self) -> RolloutList:
        """Return every rollout."""
        return RolloutList(data=[rollout_view(one) for one in await self._rollouts.all()])

    async def get(self, name: str) -> RolloutComparison:
        """Return a rollout with what its arms came to yesterday and today.

        Raises:
            RefusedError: There is none.
        """
        rollout = await self._rollouts.get(name)
        if rollout is None:
            raise not_found("rollout", name)
        return rollout_comparison(rollout, await self._compare_arms(name))

    async def put(self, caller: Caller, name: str, request: RolloutBody) -> RolloutView:
        """Move a rollout and return it; safe to repeat.

        Raises:
            RefusedError: There is none.
        """
        change = RolloutChange(name, request.percent, caller.key_id, request.reason)
        rollout = await self._rollouts.change(change)
        if rollout is None:
            raise not_found("rollout", name)
        await self._hint.send()
        return rollout_view(rollout)
