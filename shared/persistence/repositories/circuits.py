"""Circuits in PostgreSQL: a row each while it is not closed."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.catalog import Provider
from shared.domain.circuits import Circuit, CircuitClass, CircuitKey, CircuitState
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement

_NOT_CLOSED = text("SELECT * FROM provider_circuits ORDER BY provider, model, circuit")
# Whoever saw the circuit as it is now opens it anew; a failure that comes late keeps it open.
_TRIP = text("""
    INSERT INTO provider_circuits AS c (provider, model, circuit, state, opened_at, open_until,
        openings, code, message)
    VALUES (:provider, :model, :circuit, 'open', :opened_at, :open_until, :openings, :code,
        :message)
    ON CONFLICT (provider, model, circuit) DO UPDATE SET
        state = 'open',
        opened_at = CASE WHEN c.state = 'open' AND c.open_until > excluded.opened_at
            THEN c.opened_at ELSE excluded.opened_at END,
        openings = CASE WHEN c.state = 'open' AND c.open_until > excluded.opened_at
            THEN c.openings ELSE greatest(c.openings + 1, excluded.openings) END,
        open_until = greatest(c.open_until, excluded.open_until),
        code = excluded.code, message = excluded.message,
        probe_until = NULL, recovers_from = NULL
""")
_TAKE_PROBE = text("""
    UPDATE provider_circuits SET state = 'half_open', probe_until = :now + CAST(:lasts AS interval)
    WHERE (provider, model, circuit) = (:provider, :model, :circuit)
        AND open_until <= :now AND recovers_from IS NULL
        AND (probe_until IS NULL OR probe_until <= :now)
    RETURNING provider
""")
_DROP_PROBE = text("""
    UPDATE provider_circuits SET state = 'open', probe_until = NULL
    WHERE (provider, model, circuit) = (:provider, :model, :circuit) AND state = 'half_open'
""")
_RECOVER = text("""
    UPDATE provider_circuits SET state = 'recovering', recovers_from = :now, probe_until = NULL
    WHERE (provider, model, circuit) = (:provider, :model, :circuit) AND recovers_from IS NULL
""")
_KEYS = Batch(provider="text", model="text", circuit="text", recovers_from="timestamptz")
_CLOSE = text(f"""
    DELETE FROM provider_circuits c USING {_KEYS.table("k")}
    WHERE (c.provider, c.model, c.circuit) = (k.provider, k.model, k.circuit)
        AND c.state <> 'half_open'
        AND coalesce(c.recovers_from, c.open_until) <= k.recovers_from
""")  # noqa: S608 - only our own column lists are put in
_RESET = text("""
    WITH closed AS (DELETE FROM provider_circuits WHERE provider = :provider RETURNING *),
    entry AS (
        INSERT INTO audit_entries (kind, scope, from_state, to_state, actor, by, reason, changed_at)
        SELECT 'circuit', 'provider:' || provider, state, 'closed', 'person', :by,
            model || ' ' || circuit || ': ' || message, clock_timestamp()
        FROM closed
    ),
    woken AS (
        UPDATE outbox
        SET available_at = least(available_at, now() + random() * interval '3 seconds')
        WHERE awaits_provider
    )
    SELECT * FROM closed
""")


class PostgresCircuits:
    """Implements `CircuitRepository`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def not_closed(self) -> Sequence[Circuit]:
        """Return every circuit that is not closed."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_NOT_CLOSED)
            return [_circuit(row) for row in rows.mappings()]

    async def trip(self, circuit: Circuit) -> None:
        """Open a circuit, or keep one open for longer."""
        parameters = {
            **_key(circuit.key),
            "opened_at": circuit.opened_at,
            "open_until": circuit.open_until,
            "openings": circuit.openings,
            "code": circuit.code,
            "message": circuit.message,
        }
        async with statement(self._engine) as connection:
            await connection.execute(_TRIP, parameters)

    async def take_probe(self, key: CircuitKey, now: datetime, lasts: timedelta) -> bool:
        """Be the one call that tries whether a half-open circuit's provider is back."""
        async with statement(self._engine) as connection:
            taken = await connection.execute(_TAKE_PROBE, {**_key(key), "now": now, "lasts": lasts})
            return taken.first() is not None

    async def drop_probe(self, key: CircuitKey) -> None:
        """Let another call try."""
        async with statement(self._engine) as connection:
            await connection.execute(_DROP_PROBE, _key(key))

    async def recover(self, key: CircuitKey, now: datetime) -> None:
        """Let calls return."""
        async with statement(self._engine) as connection:
            await connection.execute(_RECOVER, {**_key(key), "now": now})

    async def close(self, circuits: Sequence[Circuit]) -> None:
        """Forget circuits whose recovery is over, unless they have opened again."""
        rows = [
            (c.key.provider, c.key.model, c.key.circuit.value, c.recovers_from or c.open_until)
            for c in circuits
        ]
        async with statement(self._engine) as connection:
            await connection.execute(_CLOSE, _KEYS.parameters(rows))

    async def reset(self, provider: Provider, by: str) -> Sequence[Circuit]:
        """Close all circuits of a provider, with an audit entry each."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_RESET, {"provider": provider, "by": by})
            return [_circuit(row) for row in rows.mappings()]


def _key(key: CircuitKey) -> dict[str, object]:
    return {"provider": key.provider, "model": key.model, "circuit": key.circuit.value}


def _circuit(row: RowMapping) -> Circuit:
    return Circuit(
        key=CircuitKey(Provider(row["provider"]), row["model"], CircuitClass(row["circuit"])),
        state=CircuitState(row["state"]),
        opened_at=row["opened_at"],
        open_until=row["open_until"],
        openings=row["openings"],
        code=row["code"],
        message=row["message"],
        probe_until=row["probe_until"],
        recovers_from=row["recovers_from"],
    )
