"""Alerts and their deliveries; an alert is written by the commit that crosses its threshold."""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.alerts import Alert, AlertDelivery, AlertKind, DeliveryState
from shared.persistence.connections import statement
from shared.ports.alerts import DueDelivery, StoredAlert

_LEASE = timedelta(minutes=1)
"""How long a replica has for a delivery before another tries; longer than a channel may take."""
_PAGE = text("SELECT * FROM alerts WHERE id > :after ORDER BY id LIMIT :limit")
_GET = text("SELECT * FROM alerts WHERE id = :id")
_DELIVERIES = text("""
    SELECT * FROM alert_deliveries WHERE alert_id = ANY(CAST(:ids AS bigint[]))
    ORDER BY alert_id, channel
""")
_FIRE_TEST = text("""
    INSERT INTO alerts (scope, "window", window_start, threshold, kind, action, message, fired_at)
    VALUES ('global', 'day', now(), :name, 'test', 'alert', :message, now()) RETURNING id
""")
_ROUTE = text("""
    WITH fresh AS (
        SELECT id FROM alerts WHERE NOT is_routed ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED
    ),
    routed AS (
        UPDATE alerts SET is_routed = true FROM fresh WHERE alerts.id = fresh.id
        RETURNING alerts.id
    )
    INSERT INTO alert_deliveries (alert_id, channel, next_attempt_at)
    SELECT id, channel, now() FROM routed CROSS JOIN unnest(CAST(:channels AS text[])) AS channel
    ON CONFLICT DO NOTHING
""")
_DUE = text("""
    WITH due AS (
        SELECT alert_id, channel FROM alert_deliveries
        WHERE state = 'pending' AND next_attempt_at <= now()
            AND channel = ANY(CAST(:channels AS text[]))
        ORDER BY next_attempt_at LIMIT :limit FOR UPDATE SKIP LOCKED
    ),
    leased AS (
        UPDATE alert_deliveries d SET attempts = d.attempts + 1,
            next_attempt_at = now() + CAST(:lease AS interval)
        FROM due WHERE d.alert_id = due.alert_id AND d.channel = due.channel
        RETURNING d.alert_id, d.channel, d.attempts
    )
    SELECT a.id, a.kind, a.action, a.message, leased.channel, leased.attempts
    FROM leased JOIN alerts a ON a.id = leased.alert_id ORDER BY a.id, leased.channel
""")
_DELIVERED = text("""
    UPDATE alert_deliveries
    SET state = 'delivered', delivered_at = now(), last_error = NULL
    WHERE alert_id = :alert_id AND channel = :channel
""")
_REFUSED = text("""
    UPDATE alert_deliveries SET last_error = :error,
        state = CASE WHEN CAST(:retry_in AS interval) IS NULL THEN 'given_up' ELSE state END,
        next_attempt_at = now() + coalesce(CAST(:retry_in AS interval), interval '0')
    WHERE alert_id = :alert_id AND channel = :channel AND state = 'pending'
        AND attempts = :attempts
""")


class PostgresAlerts:
    """Implements `AlertLog` and `AlertDeliveries`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, after: int, limit: int) -> Sequence[StoredAlert]:
        """Return at most `limit` alerts with ids greater than `after`, oldest first."""
        async with statement(self._engine) as connection:
            found = await connection.execute(_PAGE, {"after": after, "limit": limit})
            alerts = found.mappings().all()
            ids = {"ids": [row["id"] for row in alerts]}
            ways = (await connection.execute(_DELIVERIES, ids)).mappings().all()
        return [_stored(row, [w for w in ways if w["alert_id"] == row["id"]]) for row in alerts]

    async def fire_test(self, name: str, message: str) -> int:
        """Fire an alert that goes through every channel once."""
        async with statement(self._engine) as connection:
            fired = await connection.execute(_FIRE_TEST, {"name": name, "message": message})
            alert_id: int = fired.scalar_one()
        return alert_id

    async def get(self, alert_id: int) -> StoredAlert | None:
        """Return an alert."""
        async with statement(self._engine) as connection:
            row = (await connection.execute(_GET, {"id": alert_id})).mappings().one_or_none()
            ways = await connection.execute(_DELIVERIES, {"ids": [alert_id]})
            return None if row is None else _stored(row, ways.mappings().all())

    async def route(self, channels: Sequence[str]) -> None:
        """Give each new alert a delivery per channel."""
        async with statement(self._engine) as connection:
            await connection.execute(_ROUTE, {"channels": [*channels]})

    async def due(self, channels: Sequence[str], limit: int) -> Sequence[DueDelivery]:
        """Lease deliveries whose time has come."""
        parameters = {"channels": [*channels], "limit": limit, "lease": _LEASE}
        async with statement(self._engine) as connection:
            rows = await connection.execute(_DUE, parameters)
            return [
                DueDelivery(_alert(row), row["channel"], row["attempts"]) for row in rows.mappings()
            ]

    async def delivered(self, delivery: DueDelivery) -> None:
        """Close a delivery that its channel took."""
        parameters = {"alert_id": delivery.alert.id, "channel": delivery.channel}
        async with statement(self._engine) as connection:
            await connection.execute(_DELIVERED, parameters)

    async def refused(self, delivery: DueDelivery, error: str, retry_in: timedelta | None) -> None:
        """Store why a delivery failed, unless another replica has taken it meanwhile."""
        parameters = {
            "alert_id": delivery.alert.id,
            "channel": delivery.channel,
            "attempts": delivery.attempts,
            "error": error,
            "retry_in": retry_in,
        }
        async with statement(self._engine) as connection:
            await connection.execute(_REFUSED, parameters)


def _alert(row: RowMapping) -> Alert:
    return Alert(row["id"], AlertKind(row["kind"]), row["action"], row["message"])


def _stored(row: RowMapping, deliveries: Sequence[RowMapping]) -> StoredAlert:
    return StoredAlert(
        alert=_alert(row),
        scope=row["scope"],
        window=row["window"],
        window_start=row["window_start"],
        threshold=row["threshold"],
        spent_usd=row["spent_usd"],
        fired_at=row["fired_at"],
        deliveries=[
            AlertDelivery(
                channel=way["channel"],
                state=DeliveryState(way["state"]),
                attempts=way["attempts"],
                next_attempt_at=way["next_attempt_at"],
                last_error=way["last_error"],
                delivered_at=way["delivered_at"],
            )
            for way in deliveries
        ],
    )
