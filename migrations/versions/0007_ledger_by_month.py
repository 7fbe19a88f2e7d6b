"""The ledger by month and append-only; what reports and reconciliation read in constant time."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_MONTHS_AHEAD = 3
_TABLES = (
    "ledger_days",
    "reconciliation_watermark",
    "reconciliation_open",
    "reconciliation_runs",
    "invoices",
    "invoice_lines",
)


def upgrade() -> None:
    _partition_ledger()
    _forbid_changes()
    _widen_rollups()
    _create_ledger_days()
    _create_reconciliation()
    _create_invoices()
    _find_oldest_jobs()


def downgrade() -> None:
    _index_queued([])
    op.execute("ALTER TABLE jobs RESET (autovacuum_vacuum_scale_factor)")
    for table in reversed(_TABLES):
        op.drop_table(table)
    op.drop_column("usage_rollups", "openai_only_usd")
    op.drop_column("usage_rollups", "list_cost_usd")
    _set_aside()
    op.execute(
        "CREATE TABLE ledger_entries (LIKE ledger_before INCLUDING DEFAULTS, "
        "CONSTRAINT ledger_entries_pkey PRIMARY KEY (id))"
    )
    _comment("Append-only; one entry per attempt, with the attempt's id")
    _move_rows()
    _index_assumed()
    op.execute("DROP FUNCTION refuse_ledger_change()")


def _partition_ledger() -> None:
    _set_aside()
    # Columns that other migrations have added come along.
    op.execute(
        "CREATE TABLE ledger_entries (LIKE ledger_before INCLUDING DEFAULTS, "
        "CONSTRAINT ledger_entries_pkey PRIMARY KEY (id)) PARTITION BY RANGE (id)"
    )
    _comment("Append-only, by month of the id; one entry per attempt, with the attempt's id")
    op.execute("CREATE TABLE ledger_entries_other PARTITION OF ledger_entries DEFAULT")
    for month in _months():
        after = _after(month)
        op.execute(
            f"CREATE TABLE ledger_entries_y{month.year:04}m{month.month:02} PARTITION OF "
            f"ledger_entries FOR VALUES FROM ('{_bound(month)}') TO ('{_bound(after)}')"
        )
    _move_rows()
    _index_assumed()
    op.create_index(
        "ledger_entries_corrects_idx",
        "ledger_entries",
        ["corrects"],
        postgresql_where=sa.text("corrects IS NOT NULL"),
    )
    op.create_index("ledger_entries_user_id_id_idx", "ledger_entries", ["user_id", "id"])


def _set_aside() -> None:
    for index in ("pkey", "assumed_idx"):
        op.execute(f"ALTER INDEX ledger_entries_{index} RENAME TO ledger_before_{index}")
    op.rename_table("ledger_entries", "ledger_before")


def _move_rows() -> None:
    op.execute("INSERT INTO ledger_entries SELECT * FROM ledger_before ORDER BY id")
    op.drop_table("ledger_before")


def _comment(text: str) -> None:
    op.create_table_comment("ledger_entries", text)


def _index_assumed() -> None:
    op.create_index(
        "ledger_entries_assumed_idx",
        "ledger_entries",
        ["id"],
        postgresql_where=sa.text("assumed"),
    )


def _months() -> list[datetime]:
    """Return the months of what is there, and those from now on."""
    found = op.get_bind().execute(
        sa.text(
            "SELECT DISTINCT date_trunc('month', to_timestamp("
            "('x' || substr(id, 5, 12))::bit(48)::bigint / 1000.0) AT TIME ZONE 'UTC') "
            "FROM ledger_before WHERE id ~ '^att_[0-9a-f]{12}'"
        )
    )
    months = {moment.replace(tzinfo=UTC) for (moment,) in found}
    month = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)  # noqa: TID251 - the partitions to come depend on it
    for _ in range(_MONTHS_AHEAD + 1):
        months.add(month)
        month = _after(month)
    return sorted(months)


def _after(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _bound(month: datetime) -> str:
    """Return what no id of an earlier month reaches: ids begin with 48 bits of milliseconds."""
    return f"att_{int(month.timestamp()) * 1000:012x}"


def _forbid_changes() -> None:
    op.execute(
        """
        CREATE FUNCTION refuse_ledger_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'the ledger is append-only: book a correction instead'
                USING ERRCODE = 'restrict_violation';
        END $$
        """
    )
    op.execute(
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger_entries "
        "FOR EACH ROW EXECUTE FUNCTION refuse_ledger_change()"
    )
    op.execute(
        "CREATE TRIGGER append_only_whole BEFORE TRUNCATE ON ledger_entries "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_ledger_change()"
    )


def _widen_rollups() -> None:
    for name in ("list_cost_usd", "openai_only_usd"):
        op.add_column(
            "usage_rollups",
            sa.Column(name, sa.Numeric(), server_default=sa.text("0"), nullable=False),
        )
    # What was not compared then is not called a saving now.
    op.execute("UPDATE usage_rollups SET openai_only_usd = cost_usd")
    op.execute(
        """
        UPDATE usage_rollups u SET list_cost_usd = l.list_cost_usd FROM (
            SELECT (occurred_at AT TIME ZONE 'UTC')::date AS day, user_id, key_id, tier, provider,
                model, operation, sum(list_cost_usd) AS list_cost_usd
            FROM ledger_entries GROUP BY 1, 2, 3, 4, 5, 6, 7
        ) l WHERE (u.day, u.user_id, u.key_id, u.tier, u.provider, u.model, u.operation)
            = (l.day, l.user_id, l.key_id, l.tier, l.provider, l.model, l.operation)
        """
    )


def _create_ledger_days() -> None:
    op.create_table(
        "ledger_days",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("entries", sa.BigInteger(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("assumed", sa.BigInteger(), nullable=False),
        sa.Column("assumed_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("corrections", sa.BigInteger(), nullable=False),
        sa.Column("corrections_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("ledger_days_pkey")),
        comment="Sums of ledger entries by day (UTC); corrections are counted apart",
    )
    op.execute(
        """
        INSERT INTO ledger_days (day, entries, cost_usd, assumed, assumed_usd, corrections,
            corrections_usd)
        SELECT (occurred_at AT TIME ZONE 'UTC')::date, count(*) FILTER (WHERE corrects IS NULL),
            coalesce(sum(cost_usd) FILTER (WHERE corrects IS NULL), 0),
            count(*) FILTER (WHERE assumed AND corrects IS NULL),
            coalesce(sum(cost_usd) FILTER (WHERE assumed AND corrects IS NULL), 0),
            count(corrects), coalesce(sum(cost_usd) FILTER (WHERE corrects IS NOT NULL), 0)
        FROM ledger_entries GROUP BY 1
        """
    )


def _create_reconciliation() -> None:
    op.create_table(
        "reconciliation_watermark",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("closed_up_to", sa.Text(), nullable=False),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("attempts_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("one", name=op.f("reconciliation_watermark_one_check")),
        sa.PrimaryKeyConstraint("one", name=op.f("reconciliation_watermark_pkey")),
        comment="Attempts up to an id that were compared and found in the ledger, and their sum",
    )
    op.execute("INSERT INTO reconciliation_watermark (closed_up_to, attempts) VALUES ('', 0)")
    op.create_table(
        "reconciliation_open",
        sa.Column("id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("reconciliation_open_pkey")),
        comment="Attempts and entries below the watermark that still lack their counterpart",
    )
    op.create_table(
        "reconciliation_runs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("occasion", sa.Text(), nullable=False),
        sa.Column("ran_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("found", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("drift_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("reconciliation_runs_pkey")),
        comment="Each reconciliation, nightly or on demand, with what it found",
    )
    op.create_index(
        "reconciliation_runs_nightly_key",
        "reconciliation_runs",
        ["day"],
        unique=True,
        postgresql_where=sa.text("occasion = 'nightly'"),
    )


def _create_invoices() -> None:
    op.create_table(
        "invoices",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("at_list_price", sa.Boolean(), nullable=False),
        sa.Column("imported_by", sa.Text(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("confirmed_by", sa.Text(), nullable=True),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("invoices_pkey")),
        comment="Imported provider invoices; a confirmed one has been booked",
    )
    op.create_table(
        "invoice_lines",
        sa.Column("invoice_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("invoice_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("ledger_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.PrimaryKeyConstraint("invoice_id", "day", "model", name=op.f("invoice_lines_pkey")),
        comment="Invoice and ledger by day (UTC) and model, as they were at the import",
    )


def _find_oldest_jobs() -> None:
    """Let the oldest job of a queue be found in an index alone, also while a backlog drains."""
    _index_queued(["created_at"])
    op.execute("ALTER TABLE jobs SET (autovacuum_vacuum_scale_factor = 0.02)")


def _index_queued(beside: list[str]) -> None:
    op.drop_index("jobs_queue_id_idx", "jobs")
    op.create_index(
        "jobs_queue_id_idx",
        "jobs",
        ["queue", "id"],
        postgresql_include=beside,
        postgresql_where=sa.text("status = 'queued'"),
    )
