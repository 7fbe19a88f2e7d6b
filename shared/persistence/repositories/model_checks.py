"""Checks of models: asked for, claimed by one worker each, and what they found."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.alerts import AlertKind
from shared.domain.model_states import ListRead, ModelState, ModelStatus
from shared.persistence.arrays import Batch
from shared.persistence.connections import statement, transaction
from shared.ports.models import ModelCheck, ModelFindings, ModelListStatus

_LEASE = timedelta(minutes=5)
"""How long a worker has for a check before another makes it; longer than the lists may take."""
_FRESH = timedelta(days=1)
_TRY_AGAIN = timedelta(minutes=15)
_KEPT = timedelta(days=90)
_CLAIM = text("""
    WITH night AS (
        INSERT INTO model_checks (day, requested_at, requested_by, claimed_by, claimed_until)
        SELECT CAST(:day AS date), :at, 'night', :worker, CAST(:until AS timestamptz)
        WHERE NOT EXISTS (SELECT FROM model_checks WHERE day = :day)
            AND (:is_night OR NOT EXISTS (SELECT FROM model_checks WHERE finished_at > :fresh))
        ON CONFLICT DO NOTHING RETURNING id
    ),
    again AS (
        INSERT INTO model_checks (requested_at, requested_by) SELECT :at, 'stale list'
        WHERE EXISTS (SELECT FROM provider_model_lists WHERE error IS NOT NULL)
            AND NOT EXISTS (SELECT FROM night)
            AND NOT EXISTS (SELECT FROM model_checks WHERE requested_at > :tried)
        ON CONFLICT DO NOTHING
    ),
    open AS (
        SELECT id FROM model_checks
        WHERE finished_at IS NULL AND (claimed_until IS NULL OR claimed_until <= :at)
        FOR UPDATE SKIP LOCKED
    ),
    taken AS (
        UPDATE model_checks c SET claimed_by = :worker, claimed_until = :until
        FROM open WHERE c.id = open.id RETURNING c.id
    )
    SELECT id FROM night UNION ALL SELECT id FROM taken ORDER BY id
""")
_STATUS = Batch(
    provider="text", model="text", state="text", retires_on="date", checked_at="timestamptz"
)
_ALERT = Batch(
    alert_provider="text", alert_model="text", step="text", occasion="timestamptz", message="text"
)
_KEEP = text(f"""
    WITH kept AS (
        INSERT INTO provider_models AS known (provider, model, state, retires_on, since, checked_at)
        SELECT provider, model, state, retires_on, :at, checked_at FROM {_STATUS.table("s")}
        ORDER BY provider, model
        ON CONFLICT (provider, model) DO UPDATE SET state = excluded.state,
            retires_on = excluded.retires_on, checked_at = excluded.checked_at,
            since = CASE WHEN known.state = excluded.state THEN known.since ELSE :at END
        RETURNING provider, model, state, since
    )
    INSERT INTO alerts (scope, "window", window_start, threshold, kind, action, message, fired_at)
    SELECT 'provider:' || k.provider, 'retirement', coalesce(a.occasion, k.since),
        k.model || ' ' || a.step, :kind, k.state, a.message, :at
    FROM {_ALERT.table("a")}
        JOIN kept k ON (k.provider, k.model) = (a.alert_provider, a.alert_model)
    ORDER BY a.position
    ON CONFLICT DO NOTHING
""")  # noqa: S608 - only our own column lists are put in
_LIST = Batch(provider="text", checked_at="timestamptz", error="text")
_KEEP_LISTS = text(f"""
    INSERT INTO provider_model_lists AS known (provider, checked_at, error)
    SELECT provider, checked_at, error FROM {_LIST.table("l")} ORDER BY provider
    ON CONFLICT (provider) DO UPDATE SET error = excluded.error,
        checked_at = coalesce(excluded.checked_at, known.checked_at)
""")  # noqa: S608 - only our own column lists are put in
_FINISH = text("""
    UPDATE model_checks SET finished_at = :at WHERE id = ANY(CAST(:checks AS bigint[]))
""")
_FORGET = text("DELETE FROM model_checks WHERE finished_at < :kept_since")
# A conflict touches the row that waits, so that it is returned.
_DEMAND = text("""
    INSERT INTO model_checks AS waiting (requested_at, requested_by) VALUES (:at, :by)
    ON CONFLICT ((1)) WHERE day IS NULL AND claimed_by IS NULL
    DO UPDATE SET requested_by = waiting.requested_by
    RETURNING id, requested_at, finished_at
""")
_CHECK = text("SELECT id, requested_at, finished_at FROM model_checks WHERE id = :id")
_KNOWN = text("SELECT * FROM provider_models ORDER BY provider, model")
_LISTS = text("SELECT * FROM provider_model_lists ORDER BY provider")


class PostgresModels:
    """Implements `ModelChecks` and `ModelOverview`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def claim(self, worker: str, at: datetime, *, is_night: bool) -> Sequence[int]:
        """Return the checks that are now this worker's to make, for five minutes; often none."""
        parameters = {
            "worker": worker,
            "at": at,
            "day": at.astimezone(UTC).date(),
            "is_night": is_night,
            "fresh": at - _FRESH,
            "tried": at - _TRY_AGAIN,
            "until": at + _LEASE,
        }
        async with statement(self._engine) as connection:
            return (await connection.execute(_CLAIM, parameters)).scalars().all()

    async def finish(self, checks: Sequence[int], found: ModelFindings) -> None:
        """Store what was found and close the checks, all or nothing."""
        async with transaction(self._engine) as connection:
            await connection.execute(_KEEP, _found_parameters(found))
            await connection.execute(_KEEP_LISTS, _LIST.parameters(_list_rows(found)))
            await connection.execute(_FINISH, {"checks": [*checks], "at": found.at})
            await connection.execute(_FORGET, {"kept_since": found.at - _KEPT})

    async def demand(self, by: str, at: datetime) -> ModelCheck:
        """Ask workers for a check; one that is asked for and not begun serves everybody."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_DEMAND, {"by": by, "at": at})
            return _check(rows.mappings().one())

    async def check(self, check_id: int) -> ModelCheck | None:
        """Return a check."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_CHECK, {"id": check_id})
            row = rows.mappings().one_or_none()
        return None if row is None else _check(row)

    async def known(self) -> Sequence[ModelStatus]:
        """Return what is known of each model that was ever checked."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_KNOWN)
            return [
                ModelStatus(
                    provider=row["provider"],
                    model=row["model"],
                    state=ModelState(row["state"]),
                    retires_on=row["retires_on"],
                    checked_at=row["checked_at"],
                )
                for row in rows.mappings()
            ]

    async def lists(self) -> Sequence[ModelListStatus]:
        """Return what is known of each provider's list."""
        async with statement(self._engine) as connection:
            rows = await connection.execute(_LISTS)
            return [
                ModelListStatus(row["provider"], row["checked_at"], row["error"])
                for row in rows.mappings()
            ]


def _found_parameters(found: ModelFindings) -> dict[str, object]:
    statuses = [
        (one.provider, one.model, one.state.value, one.retires_on, one.checked_at)
        for one in found.statuses
    ]
    alerts = [
        (one.status.provider, one.status.model, one.step, one.occasion, one.message)
        for one in found.alerts
    ]
    return {
        **_STATUS.parameters(statuses),
        **_ALERT.parameters(alerts),
        "at": found.at,
        "kind": AlertKind.MODEL.value,
    }


def _list_rows(found: ModelFindings) -> Sequence[Sequence[object]]:
    return [
        (provider, found.at, None)
        if isinstance(outcome, ListRead)
        else (provider, None, outcome.error)
        for provider, outcome in found.outcomes
    ]


def _check(row: RowMapping) -> ModelCheck:
    return ModelCheck(row["id"], row["requested_at"], row["finished_at"])
