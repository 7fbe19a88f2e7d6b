"""Ending a job that never started: cancelled, expired or impossible, and in every case unpaid."""

from collections.abc import Mapping

from sqlalchemy import text

from shared.domain.ids import JobId, UserId
from shared.domain.outgoing import OutgoingMessage
from shared.domain.views import ErrorView
from shared.persistence.repositories.outbox import INLINE_GRACE

END_JOB = text("""
    WITH ended AS (
        UPDATE jobs SET status = :status, error_code = :error_code, error_message = :error_message,
            waiting_reason = NULL, waiting_until = NULL, waiting_detail = NULL, finished_at = now()
        WHERE id = :job_id AND status = 'queued'
            AND (CAST(:user_id AS text) IS NULL OR user_id = :user_id)
        RETURNING id, user_id
    ),
    cursor AS (
        INSERT INTO client_cursors AS c (user_id, last_seq) SELECT user_id, 1 FROM ended
        ON CONFLICT (user_id) DO UPDATE SET last_seq = c.last_seq + 1
        RETURNING user_id, last_seq
    ),
    delivered AS (
        INSERT INTO deliveries (user_id, seq, job_id, frame, created_at)
        SELECT user_id, last_seq, :job_id, CAST(:frame AS jsonb), now() FROM cursor
    )
    INSERT INTO outbox (message_id, exchange, routing_key, body, mandatory, available_at)
    SELECT :message_id, :exchange, :routing_key, :body, false, now() + CAST(:grace AS interval)
    FROM ended
    RETURNING id AS outbox_id
""")


def end_parameters(
    job_id: JobId,
    status: str,
    frame: OutgoingMessage,
    *,
    user_id: UserId | None = None,
    error: ErrorView | None = None,
) -> Mapping[str, object]:
    """Return the parameters of `END_JOB`."""
    return {
        "job_id": job_id,
        "user_id": user_id,
        "status": status,
        "error_code": error.code if error else None,
        "error_message": error.message if error else None,
        "frame": frame.body.decode(),
        "message_id": frame.message_id,
        "exchange": frame.exchange,
        "routing_key": frame.routing_key,
        "body": frame.body,
        "grace": INLINE_GRACE,
    }
