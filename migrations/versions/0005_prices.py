"""What a call's price depends on stands in the ledger; allowances are counted by day."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_COUNTS = ("cached_tokens", "cache_write_tokens")
_TEXTS = ("service_tier", "provider_request_id")


def upgrade() -> None:
    for name in _COUNTS:
        column = sa.Column(name, sa.Integer(), server_default=sa.text("0"), nullable=False)
        op.add_column("ledger_entries", column)
    for name in _TEXTS:
        op.add_column("ledger_entries", sa.Column(name, sa.Text(), nullable=True))
    op.create_table(
        "allowance_days",
        sa.Column("allowance", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("used", sa.Numeric(), nullable=False),
        sa.CheckConstraint("used >= 0", name=op.f("allowance_days_used_check")),
        sa.PrimaryKeyConstraint("allowance", "day", name=op.f("allowance_days_pkey")),
        comment="Usage of each UTC day that an allowance covers, until it is used up",
    )


def downgrade() -> None:
    op.drop_table("allowance_days")
    for name in (*_TEXTS, *_COUNTS):
        op.drop_column("ledger_entries", name)
