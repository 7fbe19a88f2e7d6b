"""What is known of the models that we route to, of their providers' lists, and who checked them."""

from sqlalchemy import BigInteger, Column, Date, Identity, Index, Table, Text, text

from shared.persistence.models.metadata import METADATA, moment, required_text

MODEL_CHECKS = Table(
    "model_checks",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("day", Date),
    moment("requested_at"),
    required_text("requested_by"),
    Column("claimed_by", Text),
    moment("claimed_until", nullable=True),
    moment("finished_at", nullable=True),
    Index("model_checks_day_key", "day", unique=True),
    Index(
        "model_checks_waiting_key",
        text("(1)"),
        unique=True,
        postgresql_where=text("day IS NULL AND claimed_by IS NULL"),
    ),
    Index("model_checks_open_idx", "id", postgresql_where=text("finished_at IS NULL")),
    Index("model_checks_finished_at_idx", "finished_at"),
    comment="Checks of models: one per UTC day, and those that somebody asked for",
)

PROVIDER_MODELS = Table(
    "provider_models",
    METADATA,
    Column("provider", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    required_text("state"),
    Column("retires_on", Date),
    moment("since"),
    moment("checked_at", nullable=True),
    comment="What the last check found of each routed model, and since when it is so",
)

PROVIDER_MODEL_LISTS = Table(
    "provider_model_lists",
    METADATA,
    Column("provider", Text, primary_key=True),
    moment("checked_at", nullable=True),
    Column("error", Text),
    comment="When each provider's list was last read, and why it could not be read since",
)
