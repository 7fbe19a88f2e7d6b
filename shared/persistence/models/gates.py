"""What queues should do, what workers say they do, and who changed it."""

from sqlalchemy import BigInteger, Column, Identity, Integer, Table, Text, text

from shared.persistence.models.metadata import METADATA, moment, required_text

QUEUE_CONTROL = Table(
    "queue_control",
    METADATA,
    Column("queue", Text, primary_key=True),
    required_text("desired"),
    Column("generation", BigInteger, nullable=False, server_default=text("0")),
    Column("reason", Text, nullable=False, server_default=text("''")),
    required_text("actor"),
    moment("until", nullable=True),
    Column("concurrency", Integer),
    moment("changed_at"),
)

QUEUE_ACTUAL = Table(
    "queue_actual",
    METADATA,
    Column("worker", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    required_text("actual"),
    Column("generation", BigInteger, nullable=False),
    Column("in_flight", Integer, nullable=False),
    moment("seen_at"),
)

GATE_AUDIT = Table(
    "gate_audit",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    required_text("queue"),
    required_text("from_state"),
    required_text("to_state"),
    required_text("actor"),
    Column("by", Text, nullable=False),
    required_text("reason"),
    moment("changed_at"),
)
