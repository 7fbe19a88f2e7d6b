"""The channel that is always there: a structured line and a metric."""

from collections.abc import Callable

import structlog

from shared.domain.alerts import Alert, AlertKind

_log = structlog.stdlib.get_logger(__name__)


class LogChannel:
    """Implements `AlertChannel`.

    Args:
        count: Told the alert's action, for the metric.
    """

    name = "log"

    def __init__(self, count: Callable[[str], None]) -> None:
        self._count = count

    async def send(self, alert: Alert) -> None:
        """Write the line."""
        if alert.kind is AlertKind.TEST:
            _log.warning("alert.test", alert=alert.message)
            return
        if alert.kind is AlertKind.MODEL:
            _log.warning("model.alert", alert=alert.message, action=alert.action)
        else:
            _log.warning("budget.alert", alert=alert.message, action=alert.action)
        self._count(alert.action)
