"""The ledger, its rollups and budgets."""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Index,
    Integer,
    Numeric,
    SmallInteger,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.persistence.models.metadata import METADATA, NOW, moment, required_text, usd

LEDGER_ENTRIES = Table(
    "ledger_entries",
    METADATA,
    Column("id", Text, primary_key=True),
    required_text("job_id"),
    required_text("user_id"),
    required_text("key_id"),
    required_text("tier"),
    required_text("operation"),
    required_text("provider"),
    required_text("model"),
    Column("model_answered", Text),
    required_text("price_id"),
    Column("input_tokens", Integer, nullable=False),
    Column("output_tokens", Integer, nullable=False),
    Column("cached_tokens", Integer, nullable=False, server_default=text("0")),
    Column("cache_write_tokens", Integer, nullable=False, server_default=text("0")),
    Column("service_tier", Text),
    Column("neurons_reported", Numeric),
    Column("neurons", Numeric, nullable=False),
    usd("list_cost_usd"),
    usd("cost_usd"),
    Column("is_fallback", Boolean, nullable=False),
    Column("is_error", Boolean, nullable=False),
    Column("assumed", Boolean, nullable=False),
    Column("latency_ms", Integer, nullable=False),
    Column("corrects", Text),
    Column("arm", Text),
    moment("occurred_at"),
    Column("provider_request_id", Text),
    Index("ledger_entries_assumed_idx", "id", postgresql_where=text("assumed")),
    Index("ledger_entries_corrects_idx", "corrects", postgresql_where=text("corrects IS NOT NULL")),
    Index("ledger_entries_user_id_id_idx", "user_id", "id"),
    postgresql_partition_by="RANGE (id)",
    comment="Append-only, by month of the id; one entry per attempt, with the attempt's id",
)

LEDGER_DAYS = Table(
    "ledger_days",
    METADATA,
    Column("day", Date, primary_key=True),
    Column("entries", BigInteger, nullable=False),
    usd("cost_usd"),
    Column("assumed", BigInteger, nullable=False),
    usd("assumed_usd"),
    Column("corrections", BigInteger, nullable=False),
    usd("corrections_usd"),
    comment="Sums of ledger entries by day (UTC); corrections are counted apart",
)

_ROLLUP_KEYS = ("user_id", "key_id", "tier", "provider", "model", "operation")


def _arm() -> Column[str]:
    """Return the arm of a rollout as a part of a key; empty where none was recorded."""
    return Column("arm", Text, primary_key=True, server_default=text("''"))


USAGE_ROLLUPS = Table(
    "usage_rollups",
    METADATA,
    Column("day", Date, primary_key=True),
    *(Column(key, Text, primary_key=True) for key in _ROLLUP_KEYS),
    _arm(),
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("neurons", Numeric, nullable=False),
    usd("cost_usd"),
    usd("list_cost_usd"),
    usd("openai_only_usd"),
    Column("fallbacks", BigInteger, nullable=False),
    Column("errors", BigInteger, nullable=False),
    comment="Sums of ledger entries by day (UTC) and who, what, where",
)

LATENCY_ROLLUPS = Table(
    "latency_rollups",
    METADATA,
    Column("day", Date, primary_key=True),
    *(Column(key, Text, primary_key=True) for key in _ROLLUP_KEYS),
    _arm(),
    Column("bucket", SmallInteger, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    comment="Histogram of latencies; bucket b holds up to 1.1^b ms",
)

BUDGETS = Table(
    "budgets",
    METADATA,
    Column("scope", Text, primary_key=True),
    Column("window", Text, primary_key=True),
    Column("limit_usd", Numeric),
    Column("thresholds", JSONB, nullable=False),
    moment("window_start"),
    usd("spent_usd"),
    usd("held_usd"),
    Column("fired", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("changed_at", moment("m").type, nullable=False, server_default=NOW),
    CheckConstraint("held_usd >= 0", name="held_usd"),
    comment="Each budget with its current window's money; the row that claims lock",
)

ALLOWANCE_DAYS = Table(
    "allowance_days",
    METADATA,
    Column("allowance", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("used", Numeric, nullable=False),
    CheckConstraint("used >= 0", name="used"),
    comment="Usage of each UTC day that an allowance covers, until it is used up",
)
