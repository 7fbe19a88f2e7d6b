"""How jobs and attempts look as rows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from shared.domain.catalog import Provider
from shared.domain.ids import AttemptId, IngestionId, JobId, QueueName
from shared.domain.jobs import AttemptOutcome, JobKind, JobStatus, Waiting, WaitingReason
from shared.domain.money import ZERO_USD
from shared.domain.usage import NO_USAGE, TokenUsage
from shared.domain.views import AttemptView, ErrorView, JobView
from shared.domain.work import NewJob
from shared.persistence.direct import Row
from shared.persistence.json_batch import JsonBatch

NEW_JOB = JsonBatch(
    "jobs",
    id="text",
    user_id="text",
    key_id="text",
    tier="text",
    kind="text",
    queue="text",
    model="text",
    on_interrupt="text",
    input_tokens_bound="integer",
    max_output_tokens="integer",
    deadline="timestamptz",
    idempotency_key="text",
    request_hash="bytea",
    ingestion_id="text",
    created_at="timestamptz",
    request="text",
    metadata="text",
    message_id="text",
    exchange="text",
    routing_key="text",
    body="bytea",
)

JOB_COLUMNS = """j.id, j.kind, j.status, j.queue, j.model_requested, j.created_at, j.started_at,
    j.finished_at, j.deadline, j.waiting_reason, j.waiting_until, j.waiting_detail,
    j.attempt_count, j.provider, j.model, j.input_tokens, j.output_tokens, j.neurons, j.cost_usd,
    j.is_fallback, j.latency_ms, j.error_code, j.error_message"""

_ATTEMPT_FIELDS = (
    "id",
    "number",
    "provider",
    "model",
    "model_answered",
    "outcome",
    "error_code",
    "error_message",
    "input_tokens",
    "output_tokens",
    "neurons",
    "cost_usd",
    "assumed",
    "started_at",
    "latency_ms",
    "is_diverted",
    "passed_over",
    "arm",
    "is_hedge",
)
ATTEMPT_COLUMNS = ", ".join(f"a.{field} AS attempt_{field}" for field in _ATTEMPT_FIELDS)


def new_job_values(job: NewJob, ingestion_id: IngestionId | None = None) -> Sequence[object]:
    """Return the values of `NEW_JOB`'s columns."""
    caller, command = job.caller, job.command
    return (
        job.id,
        caller.user_id,
        caller.key_id,
        caller.tier.value,
        job.kind.value,
        job.queue,
        job.model,
        job.on_interrupt.value,
        job.input_tokens_bound,
        job.max_output_tokens,
        job.deadline,
        job.idempotency_key,
        job.request_hash,
        ingestion_id,
        job.created_at,
        job.request_json,
        job.metadata_json,
        command.message_id,
        command.exchange,
        command.routing_key,
        command.body,
    )


def job_view(row: Row, attempts: Sequence[AttemptView]) -> JobView:
    """Read a job selected by `JOB_COLUMNS` with `result` and `metadata`."""
    return JobView(
        id=JobId(row["id"]),
        kind=JobKind(row["kind"]),
        status=JobStatus(row["status"]),
        queue=QueueName(row["queue"]),
        model_requested=row["model_requested"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        deadline=row["deadline"],
        waiting=_waiting(row),
        result_json=row["result"],
        error=_error(row),
        provider=Provider(row["provider"]) if row["provider"] else None,
        model=row["model"],
        usage=TokenUsage(row["input_tokens"], row["output_tokens"], row["neurons"]),
        cost_usd=row["cost_usd"],
        is_fallback=row["is_fallback"],
        latency_ms=row["latency_ms"],
        metadata_json=row["metadata"],
        attempts=attempts,
    )


def attempt_views(row: Row) -> Sequence[AttemptView]:
    """Read an attempt selected by `ATTEMPT_COLUMNS`, after those that were skipped before it."""
    return [*map(_skipped, row["attempt_passed_over"] or ()), _attempt_view(row)]


def _skipped(passed_over: Mapping[str, str]) -> AttemptView:
    return AttemptView(
        id=None,
        number=None,
        provider=Provider(passed_over["provider"]),
        model=passed_over["model"],
        model_answered=None,
        outcome=AttemptOutcome.SKIPPED,
        error=ErrorView(passed_over["code"], "the provider was let alone"),
        usage=NO_USAGE,
        cost_usd=ZERO_USD,
        assumed=False,
        started_at=datetime.fromisoformat(passed_over["at"]),
        latency_ms=None,
    )


def _attempt_view(row: Row) -> AttemptView:
    neurons: Decimal = row["attempt_neurons"]
    return AttemptView(
        id=AttemptId(row["attempt_id"]),
        number=row["attempt_number"],
        provider=Provider(row["attempt_provider"]),
        model=row["attempt_model"],
        model_answered=row["attempt_model_answered"],
        outcome=AttemptOutcome(row["attempt_outcome"]),
        error=_error(row, "attempt_"),
        usage=TokenUsage(
            row["attempt_input_tokens"], row["attempt_output_tokens"], neurons or None
        ),
        cost_usd=row["attempt_cost_usd"],
        assumed=row["attempt_assumed"],
        started_at=row["attempt_started_at"],
        latency_ms=row["attempt_latency_ms"],
        is_diverted=row["attempt_is_diverted"],
        arm=row["attempt_arm"],
        is_hedge=row["attempt_is_hedge"],
    )


def _waiting(row: Row) -> Waiting | None:
    if row["waiting_reason"] is None:
        return None
    return Waiting(
        WaitingReason(row["waiting_reason"]), row["waiting_until"], row["waiting_detail"] or ""
    )


def _error(row: Row, prefix: str = "") -> ErrorView | None:
    if row[f"{prefix}error_code"] is None:
        return None
    return ErrorView(row[f"{prefix}error_code"], row[f"{prefix}error_message"] or "")
