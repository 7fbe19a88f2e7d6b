from concurrent.futures import ThreadPoolExecutor

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import MigrateOperation
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.schema import SchemaItem

from shared.persistence.migrate import downgrade, upgrade
from shared.persistence.models import METADATA

_OURS = set(METADATA.tables)
_PARTITIONS = ("vectors_", "ledger_entries_")
_ALERT_AND_DELIVERY = text("""
    WITH fired AS (
        INSERT INTO alerts (scope, window_start, threshold, kind, fired_at)
        VALUES ('provider:openai', now(), 'luna 30d', 'model', now()) RETURNING id
    )
    INSERT INTO alert_deliveries (alert_id, channel, next_attempt_at)
    SELECT id, 'log', now() FROM fired
""")
_HEDGE_CAP = text("""
    INSERT INTO budgets (scope, "window", limit_usd, thresholds, window_start)
    VALUES ('hedge:paid', 'day', 5, '[]', now())
""")


def _tables(database_url: str) -> set[str]:
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    try:
        return set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


def _is_modelled(
    _item: SchemaItem, name: str | None, kind: str, *_: bool | SchemaItem | None
) -> bool:
    """Partitions are data of the migrations: one per embedding space, one per month."""
    return not (kind == "table" and name is not None and name.startswith(_PARTITIONS))


def _differences(database_url: str) -> list[MigrateOperation]:
    engine = create_engine(make_url(database_url).set(drivername="postgresql+psycopg"))
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(
                connection,
                opts={
                    "include_object": _is_modelled,
                    "compare_type": True,
                    "compare_server_default": True,
                },
            )
            return list(compare_metadata(context, METADATA))
    finally:
        engine.dispose()


def test_an_empty_database_is_brought_up(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    assert _tables(empty_database_url) >= _OURS


def test_models_and_migrations_agree(database_url: str) -> None:
    assert _differences(database_url) == []


def test_every_migration_can_be_undone_and_done_again(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    downgrade(empty_database_url, "base")
    assert _tables(empty_database_url) <= {"alembic_version"}
    upgrade(empty_database_url)
    assert _differences(empty_database_url) == []


def test_a_current_database_is_left_alone(database_url: str) -> None:
    before = _tables(database_url)
    upgrade(database_url)
    assert _tables(database_url) == before


def test_migrations_started_together_run_one_after_the_other(empty_database_url: str) -> None:
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(upgrade, [empty_database_url] * 3))
    assert _tables(empty_database_url) >= _OURS


def test_alerts_about_models_leave_with_their_tables(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    engine = create_engine(make_url(empty_database_url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            connection.execute(_ALERT_AND_DELIVERY)
        downgrade(empty_database_url, "0007")
        with engine.begin() as connection:
            assert connection.execute(text("SELECT count(*) FROM alerts")).scalar_one() == 0
    finally:
        engine.dispose()


def test_the_caps_of_hedges_leave_with_their_migration(empty_database_url: str) -> None:
    upgrade(empty_database_url)
    engine = create_engine(make_url(empty_database_url).set(drivername="postgresql+psycopg"))
    try:
        with engine.begin() as connection:
            connection.execute(_HEDGE_CAP)
        downgrade(empty_database_url, "0010")
        with engine.begin() as connection:
            scopes = connection.execute(text("SELECT scope FROM budgets")).scalars().all()
            assert scopes == ["global"]
    finally:
        engine.dispose()
