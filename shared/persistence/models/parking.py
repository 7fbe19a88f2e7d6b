"""Commands that wait for money or for a scope's gate, and when to look at them."""

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    LargeBinary,
    Table,
    Text,
    text,
)

from shared.persistence.models.metadata import METADATA, moment, required_text, usd

PARKED_COMMANDS = Table(
    "parked_commands",
    METADATA,
    Column("job_id", Text, primary_key=True),
    Column("id", BigInteger, Identity(), nullable=False),
    required_text("scope"),
    required_text("queue"),
    required_text("user_id"),
    usd("hold_usd"),
    moment("deadline", nullable=True),
    required_text("message_id"),
    required_text("exchange"),
    required_text("routing_key"),
    Column("body", LargeBinary, nullable=False),
    Index("parked_commands_turn_idx", "scope", "queue", "user_id", "id"),
    Index(
        "parked_commands_deadline_idx", "deadline", postgresql_where=text("deadline IS NOT NULL")
    ),
    comment="Commands of jobs that a budget or a scope's gate lets wait; nobody polls them",
)

PARKING_LOTS = Table(
    "parking_lots",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("queue", Text, primary_key=True),
    moment("look_at"),
    Column("after_user", Text, nullable=False, server_default=text("''")),
    Index("parking_lots_look_at_idx", "look_at"),
    comment="Where commands are parked, and when to look whether some may leave",
)
