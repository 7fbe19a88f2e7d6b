"""Which providers are let alone, and how fast the others may be called."""

from sqlalchemy import Column, Integer, Table, Text

from shared.persistence.models.metadata import METADATA, moment, required_text

PROVIDER_CIRCUITS = Table(
    "provider_circuits",
    METADATA,
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("circuit", Text, primary_key=True),
    required_text("state"),
    moment("opened_at"),
    moment("open_until"),
    Column("openings", Integer, nullable=False),
    required_text("code"),
    required_text("message"),
    moment("probe_until", nullable=True),
    moment("recovers_from", nullable=True),
    comment="Circuits that are not closed: provider and model, or * for all of its models",
)

RATE_TURNS = Table(
    "rate_turns",
    METADATA,
    Column("rate_limit", Text, primary_key=True),
    moment("next_turn"),
    comment="When the next call's turn comes, by rate limit",
)
