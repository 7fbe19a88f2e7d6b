"""Ledger, budgets and gates."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = (
    "alerts",
    "budgets",
    "gate_audit",
    "latency_rollups",
    "ledger_entries",
    "queue_actual",
    "queue_control",
    "usage_rollups",
)


def upgrade() -> None:
    _create_alerts()
    _create_budgets()
    _create_gate_audit()
    _create_latency_rollups()
    _create_ledger_entries()
    _create_queue_actual()
    _create_queue_control()
    _create_usage_rollups()
    _seed_gates()
    _seed_global_budget()


def downgrade() -> None:
    for table in reversed(_TABLES):
        op.drop_table(table)


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("threshold", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("spent_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("fired_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "window_start", "threshold", name=op.f("alerts_pkey")),
        comment="Fired thresholds: one per budget, window and threshold",
    )


def _create_budgets() -> None:
    op.create_table(
        "budgets",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("window", sa.Text(), nullable=False),
        sa.Column("limit_usd", sa.Numeric(), nullable=True),
        sa.Column("thresholds", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("window_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("spent_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("held_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("fired", sa.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
        sa.CheckConstraint("held_usd >= 0", name=op.f("budgets_held_usd_check")),
        sa.PrimaryKeyConstraint("scope", name=op.f("budgets_pkey")),
        comment="Each budget with its current window's money; the row that claims lock",
    )


def _create_gate_audit() -> None:
    op.create_table(
        "gate_audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=False),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("gate_audit_pkey")),
    )


def _create_latency_rollups() -> None:
    op.create_table(
        "latency_rollups",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("bucket", sa.SmallInteger(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day",
            "user_id",
            "key_id",
            "tier",
            "provider",
            "model",
            "operation",
            "bucket",
            name=op.f("latency_rollups_pkey"),
        ),
        comment="Histogram of latencies; bucket b holds up to 1.1^b ms",
    )


def _create_ledger_entries() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_answered", sa.Text(), nullable=True),
        sa.Column("price_id", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), nullable=False),
        sa.Column("output_tokens", sa.Integer(), nullable=False),
        sa.Column("neurons_reported", sa.Numeric(), nullable=True),
        sa.Column("neurons", sa.Numeric(), nullable=False),
        sa.Column("list_cost_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("cost_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("is_fallback", sa.Boolean(), nullable=False),
        sa.Column("is_error", sa.Boolean(), nullable=False),
        sa.Column("assumed", sa.Boolean(), nullable=False),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("corrects", sa.Text(), nullable=True),
        sa.Column("occurred_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("ledger_entries_pkey")),
        comment="Append-only; one entry per attempt, with the attempt's id",
    )
    op.create_index(
        "ledger_entries_assumed_idx",
        "ledger_entries",
        ["id"],
        unique=False,
        postgresql_where=sa.text("assumed"),
    )


def _create_queue_actual() -> None:
    op.create_table(
        "queue_actual",
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("actual", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("in_flight", sa.Integer(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("worker", "queue", name=op.f("queue_actual_pkey")),
    )


def _create_queue_control() -> None:
    op.create_table(
        "queue_control",
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("desired", sa.Text(), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("queue", name=op.f("queue_control_pkey")),
    )


def _create_usage_rollups() -> None:
    op.create_table(
        "usage_rollups",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("tier", sa.Text(), nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("neurons", sa.Numeric(), nullable=False),
        sa.Column("cost_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("fallbacks", sa.BigInteger(), nullable=False),
        sa.Column("errors", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "day",
            "user_id",
            "key_id",
            "tier",
            "provider",
            "model",
            "operation",
            name=op.f("usage_rollups_pkey"),
        ),
        comment="Sums of ledger entries by day (UTC) and who, what, where",
    )


def _seed_gates() -> None:
    op.execute(
        "INSERT INTO queue_control (queue, desired, actor, changed_at) "
        "SELECT queue, 'running', 'person', now() FROM unnest(ARRAY["
        "'chat.free', 'chat.paid', 'chat.premium', 'embed.interactive', 'embed.bulk']) AS queue"
    )


def _seed_global_budget() -> None:
    op.execute(
        'INSERT INTO budgets (scope, "window", thresholds, window_start) '
        "VALUES ('global', 'day', "
        """'[{"at_usd": "100", "action": "alert", "queues": ["chat.free", "chat.paid",
              "chat.premium", "embed.interactive", "embed.bulk"]},
             {"at_usd": "300", "action": "pause", "queues": ["embed.bulk"]},
             {"at_usd": "500", "action": "pause", "queues": ["chat.free", "chat.paid",
              "embed.interactive", "embed.bulk"]}]', """
        "date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')"
    )
