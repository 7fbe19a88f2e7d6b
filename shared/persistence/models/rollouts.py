"""How far rollouts have come; who moved them is in the audit trail."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Numeric, Table, Text, text

from shared.persistence.models.metadata import METADATA, moment, required_text

ROLLOUTS = Table(
    "rollouts",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("percent", Numeric, nullable=False),
    Column("generation", BigInteger, nullable=False, server_default=text("1")),
    moment("changed_at"),
    required_text("changed_by"),
    required_text("reason"),
    CheckConstraint("percent BETWEEN 0 AND 100", name="percent"),
    comment="The share of users inside each rollout, in percent",
)
