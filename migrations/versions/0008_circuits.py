"""Circuits and rate limits that all replicas share, and what an attempt passed over."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "provider_circuits",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("circuit", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("open_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("openings", sa.Integer(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("probe_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("recovers_from", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint(
            "provider", "model", "circuit", name=op.f("provider_circuits_pkey")
        ),
        comment="Circuits that are not closed: provider and model, or * for all of its models",
    )
    op.create_table(
        "rate_turns",
        sa.Column("rate_limit", sa.Text(), nullable=False),
        sa.Column("next_turn", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("rate_limit", name=op.f("rate_turns_pkey")),
        comment="When the next call's turn comes, by rate limit",
    )
    op.add_column(
        "attempts",
        sa.Column("passed_over", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
    )

    op.add_column(
        "outbox",
        sa.Column("awaits_provider", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("outbox", "awaits_provider")
    op.drop_column("attempts", "passed_over")
    op.drop_table("rate_turns")
    op.drop_table("provider_circuits")
