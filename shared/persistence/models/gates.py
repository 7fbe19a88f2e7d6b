"""What queues and scopes should do, what workers say they do, and who changed what."""

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, Table, Text, text

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

SCOPE_CONTROL = Table(
    "scope_control",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    required_text("desired"),
    moment("diverts_until", nullable=True),
    Column("generation", BigInteger, nullable=False, server_default=text("0")),
    Column("reason", Text, nullable=False, server_default=text("''")),
    required_text("actor"),
    moment("until", nullable=True),
    Column("concurrency", Integer),
    moment("changed_at"),
    Index("scope_control_until_idx", "until", postgresql_where=text("until IS NOT NULL")),
    Index(
        "scope_control_diverts_until_idx",
        "diverts_until",
        postgresql_where=text("diverts_until IS NOT NULL"),
    ),
    Index("scope_control_closed_idx", "scope", postgresql_where=text("desired = 'closed'")),
    comment="Gates of one tenant's, tier's, key's or provider's work in a queue",
)

AUDIT_ENTRIES = Table(
    "audit_entries",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("kind", Text, nullable=False, server_default=text("'gate'")),
    Column("scope", Text, nullable=False, server_default=text("'global'")),
    Column("queue", Text),
    Column("window", Text),
    Column("from_state", Text),
    Column("to_state", Text),
    required_text("actor"),
    Column("by", Text, nullable=False),
    required_text("reason"),
    moment("changed_at"),
)
