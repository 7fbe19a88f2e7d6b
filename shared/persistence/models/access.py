"""Tiers, users and their keys."""

from sqlalchemy import ARRAY, Column, ForeignKey, Integer, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.persistence.models.metadata import METADATA, moment

TIERS = Table(
    "tiers",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("requests_per_minute", Integer),
    Column("requests_per_day", Integer),
    comment="Request limits by tier; null is none",
)

USERS = Table(
    "users",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("tier", Text, ForeignKey("tiers.name"), nullable=False),
    moment("created_at"),
)

API_KEYS = Table(
    "api_keys",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False, index=True),
    Column("tier", Text, ForeignKey("tiers.name"), nullable=False),
    Column("secret_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("limits", JSONB),
    moment("created_at"),
    moment("expires_at", nullable=True),
    moment("revoked_at", nullable=True),
    comment="Keys as SHA-256 of the secret; the secret itself is stored nowhere",
)
