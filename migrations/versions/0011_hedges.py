"""Second calls beside slow ones."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "attempts",
        sa.Column("is_hedge", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("attempts", "is_hedge")
    op.execute("DELETE FROM budgets WHERE scope LIKE 'hedge:%'")
