"""Shows alerts to ops, and tries out the channels by which they travel."""

import asyncio
from datetime import timedelta

from services.api.schemas.alerts import AlertPage, AlertView, alert_page, alert_view
from services.api.use_cases.refusals import RefusalCode, RefusedError
from shared.domain.access import Caller
from shared.domain.alerts import DeliveryState
from shared.ports.alerts import AlertLog, StoredAlert
from shared.ports.clock import Ids

_LOOK_SECONDS = 0.1
_RETRY_AFTER = timedelta(seconds=5)


class AdminAlerts:
    """Alerts and their deliveries; aggregators deliver them, so a test waits for one of those."""

    def __init__(self, alerts: AlertLog, ids: Ids, patience: timedelta) -> None:
        self._alerts = alerts
        self._ids = ids
        self._patience_seconds = patience.total_seconds()

    async def page(self, after: int, limit: int) -> AlertPage:
        """Return alerts, oldest first."""
        return alert_page(await self._alerts.page(after, limit + 1), limit)

    async def test(self, caller: Caller) -> AlertView:
        """Send a test message through every channel once and report on each.

        Raises:
            RefusedError: No aggregator took the test in time.
        """
        name = self._ids.new("test")
        alert_id = await self._alerts.fire_test(name, f"a test, asked for by {caller.key_id}")
        try:
            async with asyncio.timeout(self._patience_seconds):
                return await self._outcome(alert_id)
        except TimeoutError:
            raise RefusedError(
                RefusalCode.UNAVAILABLE,
                f"test {alert_id} has not been sent yet: does an aggregator run? "
                "See /v1/admin/alerts",
                retry_after=_RETRY_AFTER,
            ) from None

    async def _outcome(self, alert_id: int) -> AlertView:
        while True:
            told = _told(await self._alerts.get(alert_id))
            if told is not None:
                return told
            await asyncio.sleep(_LOOK_SECONDS)


def _told(stored: StoredAlert | None) -> AlertView | None:
    """Return an alert that has come to an end on all channels."""
    if stored is None or not stored.deliveries:
        return None
    if any(one.state is DeliveryState.PENDING for one in stored.deliveries):
        return None
    return alert_view(stored)
