"""What reconciliation has compared, and the invoices that the ledger was held against."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Identity,
    Index,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.persistence.models.metadata import METADATA, moment, required_text, usd

RECONCILIATION_WATERMARK = Table(
    "reconciliation_watermark",
    METADATA,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    required_text("closed_up_to"),
    Column("attempts", BigInteger, nullable=False),
    usd("attempts_usd"),
    CheckConstraint("one", name="one"),
    comment="Attempts up to an id that were compared and found in the ledger, and their sum",
)

RECONCILIATION_OPEN = Table(
    "reconciliation_open",
    METADATA,
    Column("id", Text, primary_key=True),
    comment="Attempts and entries below the watermark that still lack their counterpart",
)

RECONCILIATION_RUNS = Table(
    "reconciliation_runs",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    required_text("occasion"),
    moment("ran_at"),
    Column("day", Date, nullable=False),
    Column("found", JSONB, nullable=False),
    usd("drift_usd"),
    Index(
        "reconciliation_runs_nightly_key",
        "day",
        unique=True,
        postgresql_where=text("occasion = 'nightly'"),
    ),
    comment="Each reconciliation, nightly or on demand, with what it found",
)

INVOICES = Table(
    "invoices",
    METADATA,
    Column("id", Text, primary_key=True),
    required_text("provider"),
    required_text("sha256"),
    Column("at_list_price", Boolean, nullable=False),
    required_text("imported_by"),
    moment("imported_at"),
    Column("confirmed_by", Text),
    moment("confirmed_at", nullable=True),
    comment="Imported provider invoices; a confirmed one has been booked",
)

INVOICE_LINES = Table(
    "invoice_lines",
    METADATA,
    Column("invoice_id", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("model", Text, primary_key=True),
    usd("invoice_usd"),
    usd("ledger_usd"),
    comment="Invoice and ledger by day (UTC) and model, as they were at the import",
)
