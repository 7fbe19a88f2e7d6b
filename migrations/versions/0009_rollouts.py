"""Rollouts that are changed at run time, and the arm of each attempt."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_KEYS = ("day", "user_id", "key_id", "tier", "provider", "model", "operation")
_SUMS = (
    "requests",
    "input_tokens",
    "output_tokens",
    "neurons",
    "cost_usd",
    "list_cost_usd",
    "openai_only_usd",
    "fallbacks",
    "errors",
)


def upgrade() -> None:
    op.create_table(
        "rollouts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("percent", sa.Numeric(), nullable=False),
        sa.Column("generation", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.CheckConstraint("percent BETWEEN 0 AND 100", name=op.f("rollouts_percent_check")),
        sa.PrimaryKeyConstraint("name", name=op.f("rollouts_pkey")),
        comment="The share of users inside each rollout, in percent",
    )
    op.add_column("attempts", sa.Column("arm", sa.Text(), nullable=True))
    op.add_column("ledger_entries", sa.Column("arm", sa.Text(), nullable=True))
    for table, beside in (("usage_rollups", ()), ("latency_rollups", ("bucket",))):
        op.add_column(
            table, sa.Column("arm", sa.Text(), server_default=sa.text("''"), nullable=False)
        )
        _key(table, (*_KEYS, "arm", *beside))


def downgrade() -> None:
    _add_arms_up("usage_rollups", _KEYS, _SUMS)
    _add_arms_up("latency_rollups", (*_KEYS, "bucket"), ("requests",))
    op.drop_column("ledger_entries", "arm")
    op.drop_column("attempts", "arm")
    op.execute("DELETE FROM audit_entries WHERE kind = 'rollout'")
    op.drop_table("rollouts")


def _key(table: str, columns: tuple[str, ...]) -> None:
    op.drop_constraint(f"{table}_pkey", table)
    op.create_primary_key(f"{table}_pkey", table, [*columns])


def _add_arms_up(table: str, keys: tuple[str, ...], sums: tuple[str, ...]) -> None:
    """Put the rows of different arms together again."""
    listed, summed = ", ".join(keys), ", ".join(f"sum({name}) AS {name}" for name in sums)
    op.execute(
        f"CREATE TEMPORARY TABLE of_all_arms ON COMMIT DROP AS "
        f"SELECT {listed}, {summed} FROM {table} GROUP BY {listed}"
    )
    op.execute(f"TRUNCATE {table}")
    op.drop_constraint(f"{table}_pkey", table)
    op.drop_column(table, "arm")
    op.create_primary_key(f"{table}_pkey", table, [*keys])
    columns = ", ".join((*keys, *sums))
    op.execute(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM of_all_arms")
    op.execute("DROP TABLE of_all_arms")
