"""Jobs, their attempts, the outbox and the clients' durable log.

Rows that are updated often (`jobs`) are kept narrow; texts live beside them in `job_contents`,
where they can be purged without touching money.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.persistence.models.metadata import METADATA, moment, required_text, usd

JOBS = Table(
    "jobs",
    METADATA,
    Column("id", Text, primary_key=True),
    required_text("user_id"),
    required_text("key_id"),
    required_text("tier"),
    required_text("kind"),
    required_text("queue"),
    required_text("status"),
    required_text("model_requested"),
    required_text("on_interrupt"),
    Column("input_tokens_bound", Integer, nullable=False),
    Column("max_output_tokens", Integer, nullable=False),
    moment("deadline", nullable=True),
    Column("idempotency_key", Text),
    Column("request_hash", LargeBinary, nullable=False),
    Column("ingestion_id", Text),
    Column("waiting_reason", Text),
    moment("waiting_until", nullable=True),
    Column("waiting_detail", Text),
    Column("lease_owner", Text),
    moment("lease_until", nullable=True),
    Column("attempt_count", Integer, nullable=False, server_default=text("0")),
    Column("failure_count", Integer, nullable=False, server_default=text("0")),
    Column("provider", Text),
    Column("model", Text),
    Column("input_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("output_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("neurons", Numeric),
    usd("cost_usd"),
    Column("is_fallback", Boolean, nullable=False, server_default=text("false")),
    Column("latency_ms", Integer),
    Column("error_code", Text),
    Column("error_message", Text),
    moment("created_at"),
    moment("started_at", nullable=True),
    moment("finished_at", nullable=True),
    UniqueConstraint("user_id", "idempotency_key"),
    Index("jobs_user_id_id_idx", "user_id", text("id DESC")),
    Index("jobs_lease_until_idx", "lease_until", postgresql_where=text("status = 'running'")),
    Index(
        "jobs_ingestion_id_idx", "ingestion_id", postgresql_where=text("ingestion_id IS NOT NULL")
    ),
    Index(
        "jobs_queue_id_idx",
        "queue",
        "id",
        postgresql_include=["created_at"],
        postgresql_where=text("status = 'queued'"),
    ),
)

JOB_CONTENTS = Table(
    "job_contents",
    METADATA,
    Column("job_id", Text, primary_key=True),
    required_text("request"),
    Column("metadata", Text),
    Column("result", Text),
    comment="What users wrote and got; purged by age while the job's money stays",
)

ATTEMPTS = Table(
    "attempts",
    METADATA,
    Column("id", Text, primary_key=True),
    Column("job_id", Text, nullable=False, index=True),
    Column("number", Integer, nullable=False),
    required_text("worker"),
    required_text("provider"),
    required_text("model"),
    Column("model_answered", Text),
    required_text("price_id"),
    required_text("outcome"),
    Column("error_code", Text),
    Column("error_message", Text),
    Column("provider_request_id", Text),
    usd("hold_usd"),
    Column("input_tokens", Integer, nullable=False, server_default=text("0")),
    Column("output_tokens", Integer, nullable=False, server_default=text("0")),
    Column("neurons_reported", Numeric),
    Column("neurons", Numeric, nullable=False, server_default=text("0")),
    usd("cost_usd"),
    Column("is_fallback", Boolean, nullable=False),
    Column("is_diverted", Boolean, nullable=False, server_default=text("false")),
    Column("is_hedge", Boolean, nullable=False, server_default=text("false")),
    Column("passed_over", JSONB),
    Column("arm", Text),
    Column("assumed", Boolean, nullable=False, server_default=text("false")),
    Column("latency_ms", Integer),
    moment("started_at"),
    moment("finished_at", nullable=True),
    Index("attempts_running_idx", "started_at", postgresql_where=text("outcome = 'running'")),
    comment="One row per provider call, written before the call is made",
)

OUTBOX = Table(
    "outbox",
    METADATA,
    Column("id", BigInteger, Identity(), primary_key=True),
    required_text("message_id"),
    required_text("exchange"),
    required_text("routing_key"),
    Column("body", LargeBinary, nullable=False),
    Column("mandatory", Boolean, nullable=False, server_default=text("true")),
    moment("available_at"),
    Column("awaits_provider", Boolean, nullable=False, server_default=text("false")),
    Index("outbox_available_at_idx", "available_at"),
    comment="Messages decided and not yet known to be with the broker; deleted once confirmed",
)

ANSWER_CHECKPOINTS = Table(
    "answer_checkpoints",
    METADATA,
    Column("job_id", Text, primary_key=True),
    required_text("attempt_id"),
    Column("number", Integer, nullable=False),
    required_text("text"),
    comment="Answers under way, for clients that join late",
)

CLIENT_CURSORS = Table(
    "client_cursors",
    METADATA,
    Column("user_id", Text, primary_key=True),
    Column("last_seq", BigInteger, nullable=False),
)

DELIVERIES = Table(
    "deliveries",
    METADATA,
    Column("user_id", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("job_id", Text, nullable=False),
    Column("frame", JSONB, nullable=False),
    moment("created_at"),
    comment="One ordered log of terminal events per client",
)
