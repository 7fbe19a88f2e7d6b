"""The life of models: checks, what they found, and what became of each provider's list."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _create_checks()
    op.create_table(
        "provider_models",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("retires_on", sa.Date(), nullable=True),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("provider", "model", name=op.f("provider_models_pkey")),
        comment="What the last check found of each routed model, and since when it is so",
    )
    op.create_table(
        "provider_model_lists",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("provider", name=op.f("provider_model_lists_pkey")),
        comment="When each provider's list was last read, and why it could not be read since",
    )


def downgrade() -> None:
    for table in ("provider_model_lists", "provider_models", "model_checks"):
        op.drop_table(table)
    op.execute(
        "DELETE FROM alert_deliveries d USING alerts a WHERE a.id = d.alert_id AND a.kind = 'model'"
    )
    op.execute("DELETE FROM alerts WHERE kind = 'model'")


def _create_checks() -> None:
    op.create_table(
        "model_checks",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("day", sa.Date(), nullable=True),
        sa.Column("requested_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("claimed_by", sa.Text(), nullable=True),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("model_checks_pkey")),
        comment="Checks of models: one per UTC day, and those that somebody asked for",
    )
    op.create_index("model_checks_day_key", "model_checks", ["day"], unique=True)
    op.create_index(
        "model_checks_waiting_key",
        "model_checks",
        [sa.text("(1)")],
        unique=True,
        postgresql_where=sa.text("day IS NULL AND claimed_by IS NULL"),
    )
    op.create_index(
        "model_checks_open_idx",
        "model_checks",
        ["id"],
        postgresql_where=sa.text("finished_at IS NULL"),
    )
    op.create_index("model_checks_finished_at_idx", "model_checks", ["finished_at"])
