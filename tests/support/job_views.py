"""Jobs as the database shows them, without anything that a test does not ask for."""

from datetime import UTC, datetime
from decimal import Decimal

from shared.domain.gates import CHAT_FREE
from shared.domain.ids import JobId
from shared.domain.jobs import JobKind, JobStatus
from shared.domain.usage import NO_USAGE
from shared.domain.views import JobView

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def job_view(job_id: JobId, status: JobStatus) -> JobView:
    """Return a chat job that nobody has called a provider for."""
    return JobView(
        id=job_id,
        kind=JobKind.CHAT,
        status=status,
        queue=CHAT_FREE,
        model_requested="auto",
        created_at=NOW,
        started_at=None,
        finished_at=None,
        deadline=None,
        waiting=None,
        result_json=None,
        error=None,
        provider=None,
        model=None,
        usage=NO_USAGE,
        cost_usd=Decimal(0),
        is_fallback=False,
        latency_ms=None,
        metadata_json=None,
        attempts=[],
    )
