"""Budgets by window, gates by scope, parking lots, one audit trail, and alerts on their way."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _let_a_scope_have_two_windows()
    _create_scope_control()
    _create_parking()
    _widen_the_audit_trail()
    _send_alerts()
    op.add_column(
        "attempts",
        sa.Column("is_diverted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("attempts", "is_diverted")
    op.drop_table("alert_deliveries")
    op.execute("DELETE FROM alerts WHERE kind = 'test'")
    op.drop_index("alerts_unsent_idx", "alerts")
    op.drop_constraint("alerts_scope_window_window_start_threshold_key", "alerts")
    op.drop_constraint("alerts_pkey", "alerts")
    for column in ("window", "kind", "action", "message", "is_routed"):
        op.drop_column("alerts", column)
    op.execute(
        "DELETE FROM alerts a USING alerts b WHERE a.id > b.id AND (a.scope, a.window_start, "
        "a.threshold) = (b.scope, b.window_start, b.threshold)"
    )
    op.create_primary_key("alerts_pkey", "alerts", ["scope", "window_start", "threshold"])
    _narrow_the_audit_trail()
    _put_parked_commands_back()
    op.drop_table("scope_control")
    op.execute(
        'DELETE FROM budgets a USING budgets b WHERE a.scope = b.scope AND a."window" > b."window"'
    )
    op.drop_constraint("budgets_pkey", "budgets")
    op.drop_column("budgets", "changed_at")
    op.create_primary_key("budgets_pkey", "budgets", ["scope"])


def _let_a_scope_have_two_windows() -> None:
    op.add_column(
        "budgets",
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
    )
    op.drop_constraint("budgets_pkey", "budgets")
    op.create_primary_key("budgets_pkey", "budgets", ["scope", "window"])


def _create_scope_control() -> None:
    op.create_table(
        "scope_control",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("desired", sa.Text(), nullable=False),
        sa.Column("diverts_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("reason", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("concurrency", sa.Integer(), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("scope", "queue", name=op.f("scope_control_pkey")),
        comment="Gates of one tenant's, tier's, key's or provider's work in a queue",
    )
    for column in ("until", "diverts_until"):
        op.create_index(
            f"scope_control_{column}_idx",
            "scope_control",
            [column],
            postgresql_where=sa.text(f"{column} IS NOT NULL"),
        )
    op.create_index(
        "scope_control_closed_idx",
        "scope_control",
        ["scope"],
        postgresql_where=sa.text("desired = 'closed'"),
    )


def _create_parking() -> None:
    op.create_table(
        "parked_commands",
        sa.Column("job_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("hold_usd", sa.Numeric(), server_default=sa.text("0"), nullable=False),
        sa.Column("deadline", sa.DateTime(timezone=True), nullable=True),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("exchange", sa.Text(), nullable=False),
        sa.Column("routing_key", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("job_id", name=op.f("parked_commands_pkey")),
        comment="Commands of jobs that a budget or a scope's gate lets wait; nobody polls them",
    )
    op.create_index(
        "parked_commands_turn_idx", "parked_commands", ["scope", "queue", "user_id", "id"]
    )
    op.create_index(
        "parked_commands_deadline_idx",
        "parked_commands",
        ["deadline"],
        postgresql_where=sa.text("deadline IS NOT NULL"),
    )
    op.create_table(
        "parking_lots",
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("look_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("after_user", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.PrimaryKeyConstraint("scope", "queue", name=op.f("parking_lots_pkey")),
        comment="Where commands are parked, and when to look whether some may leave",
    )
    op.create_index("parking_lots_look_at_idx", "parking_lots", ["look_at"])
    # What is parked leaves once, and is parked anew by the claim that finds no room.
    op.execute("UPDATE outbox SET available_at = now() WHERE parked_by IS NOT NULL")
    op.drop_index("outbox_parked_by_idx", "outbox")
    op.drop_column("outbox", "parked_by")


def _put_parked_commands_back() -> None:
    op.add_column("outbox", sa.Column("parked_by", sa.Text(), nullable=True))
    op.create_index(
        "outbox_parked_by_idx",
        "outbox",
        ["parked_by"],
        postgresql_where=sa.text("parked_by IS NOT NULL"),
    )
    op.execute(
        "INSERT INTO outbox (message_id, exchange, routing_key, body, available_at) "
        "SELECT message_id, exchange, routing_key, body, now() FROM parked_commands"
    )
    op.drop_table("parking_lots")
    op.drop_table("parked_commands")


def _widen_the_audit_trail() -> None:
    op.rename_table("gate_audit", "audit_entries")
    op.execute("ALTER INDEX gate_audit_pkey RENAME TO audit_entries_pkey")
    op.execute("ALTER SEQUENCE gate_audit_id_seq RENAME TO audit_entries_id_seq")
    op.add_column(
        "audit_entries",
        sa.Column("kind", sa.Text(), server_default=sa.text("'gate'"), nullable=False),
    )
    op.add_column(
        "audit_entries",
        sa.Column("scope", sa.Text(), server_default=sa.text("'global'"), nullable=False),
    )
    op.add_column("audit_entries", sa.Column("window", sa.Text(), nullable=True))
    for column in ("queue", "from_state", "to_state"):
        op.alter_column("audit_entries", column, nullable=True)


def _narrow_the_audit_trail() -> None:
    op.execute("DELETE FROM audit_entries WHERE kind <> 'gate'")
    for column in ("queue", "from_state", "to_state"):
        op.alter_column("audit_entries", column, nullable=False)
    for column in ("kind", "scope", "window"):
        op.drop_column("audit_entries", column)
    op.execute("ALTER SEQUENCE audit_entries_id_seq RENAME TO gate_audit_id_seq")
    op.execute("ALTER INDEX audit_entries_pkey RENAME TO gate_audit_pkey")
    op.rename_table("audit_entries", "gate_audit")


def _send_alerts() -> None:
    for column, default in (("window", "day"), ("kind", "threshold"), ("action", "alert")):
        op.add_column(
            "alerts",
            sa.Column(column, sa.Text(), server_default=sa.text(f"'{default}'"), nullable=False),
        )
    op.add_column(
        "alerts", sa.Column("message", sa.Text(), server_default=sa.text("''"), nullable=False)
    )
    op.add_column(
        "alerts",
        sa.Column("is_routed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    # Those of before have been told by a log line.
    op.execute("UPDATE alerts SET is_routed = true, action = split_part(threshold, ':', 2)")
    op.drop_constraint("alerts_pkey", "alerts")
    op.create_primary_key("alerts_pkey", "alerts", ["id"])
    op.create_unique_constraint(
        "alerts_scope_window_window_start_threshold_key",
        "alerts",
        ["scope", "window", "window_start", "threshold"],
    )
    op.create_index(
        "alerts_unsent_idx", "alerts", ["id"], postgresql_where=sa.text("NOT is_routed")
    )
    op.create_table(
        "alert_deliveries",
        sa.Column("alert_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), server_default=sa.text("'pending'"), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("alert_id", "channel", name=op.f("alert_deliveries_pkey")),
        sa.ForeignKeyConstraint(
            ["alert_id"], ["alerts.id"], name=op.f("alert_deliveries_alert_id_fkey")
        ),
        comment="One row per alert and channel, until it has arrived or was given up",
    )
    op.create_index(
        "alert_deliveries_due_idx",
        "alert_deliveries",
        ["next_attempt_at"],
        postgresql_where=sa.text("state = 'pending'"),
    )
