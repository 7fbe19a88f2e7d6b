"""Fired thresholds, and the channels they are told through."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shared.persistence.models.metadata import METADATA, moment, required_text, usd

ALERTS = Table(
    "alerts",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    required_text("scope"),
    Column("window", Text, nullable=False, server_default=text("'day'")),
    moment("window_start"),
    required_text("threshold"),
    Column("kind", Text, nullable=False, server_default=text("'threshold'")),
    Column("action", Text, nullable=False, server_default=text("'alert'")),
    Column("message", Text, nullable=False, server_default=text("''")),
    usd("spent_usd"),
    moment("fired_at"),
    Column("is_routed", Boolean, nullable=False, server_default=text("false")),
    UniqueConstraint("scope", "window", "window_start", "threshold"),
    Index("alerts_unsent_idx", "id", postgresql_where=text("NOT is_routed")),
    comment="Fired thresholds: one per budget, window and threshold",
)

ALERT_DELIVERIES = Table(
    "alert_deliveries",
    METADATA,
    Column("alert_id", BigInteger, ForeignKey(ALERTS.c.id), primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default=text("'pending'")),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    moment("next_attempt_at"),
    Column("last_error", Text),
    moment("delivered_at", nullable=True),
    Index(
        "alert_deliveries_due_idx", "next_attempt_at", postgresql_where=text("state = 'pending'")
    ),
    comment="One row per alert and channel, until it has arrived or was given up",
)
