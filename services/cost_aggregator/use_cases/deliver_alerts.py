"""Brings alerts to people: each through every channel, until it has arrived or is given up."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

import structlog

from shared.domain.alerts import AlertKind, retry_delay
from shared.domain.errors import AlertNotDeliveredError
from shared.ports.alerts import AlertChannel, AlertDeliveries, DueDelivery

_log = structlog.stdlib.get_logger(__name__)
_AT_ONCE = 20
Outcome = Literal["delivered", "failed", "given_up"]


class DeliverAlerts:
    """Safe to run anywhere: a delivery is leased, and closed once its channel has taken it.

    A process that dies in between lets the lease run out, and the alert is sent again.
    """

    def __init__(
        self,
        deliveries: AlertDeliveries,
        channels: Sequence[AlertChannel],
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._deliveries = deliveries
        self._channels = {channel.name: channel for channel in channels}
        self._on_outcome = on_outcome

    async def __call__(self) -> None:
        """Deliver what is due.

        Raises:
            DatabaseUnavailableError: Some may be left, or be sent again.
        """
        names = [*self._channels]
        await self._deliveries.route(names)
        due = await self._deliveries.due(names, _AT_ONCE)
        await asyncio.gather(*(self._deliver(one) for one in due))

    async def _deliver(self, delivery: DueDelivery) -> None:
        try:
            await self._channels[delivery.channel].send(delivery.alert)
        except AlertNotDeliveredError as error:
            await self._refused(delivery, str(error))
        else:
            await self._deliveries.delivered(delivery)
            self._on_outcome("delivered")

    async def _refused(self, delivery: DueDelivery, error: str) -> None:
        retry_in = retry_delay(delivery.alert.kind, delivery.attempts)
        await self._deliveries.refused(delivery, error, retry_in)
        is_given_up = retry_in is None and delivery.alert.kind is not AlertKind.TEST
        report = _log.error if is_given_up else _log.warning
        report(
            "alert.not_delivered",
            alert=delivery.alert.id,
            channel=delivery.channel,
            attempts=delivery.attempts,
            error=error,
        )
        self._on_outcome("given_up" if retry_in is None else "failed")
