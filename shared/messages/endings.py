"""Terminal frames as messages: what a watching client gets when its job ends."""

from shared.domain.ids import JobId
from shared.domain.outgoing import OutgoingMessage
from shared.messages.frames import (
    ErrorFrame,
    JobCancelled,
    JobCompleted,
    JobExpired,
    JobFailed,
    stream_key,
)

STREAM_EXCHANGE = "stream"


def ending(frame: JobCompleted | JobFailed | JobCancelled | JobExpired) -> OutgoingMessage:
    """Return the frame for the outbox; nobody watching is fine, hence not mandatory."""
    return OutgoingMessage(
        message_id=f"{frame.job_id}:end",
        exchange=STREAM_EXCHANGE,
        routing_key=stream_key(frame.job_id),
        body=frame.model_dump_json().encode(),
        mandatory=False,
    )


def failure(job_id: JobId, code: str, message: str) -> OutgoingMessage:
    """Return the ending of a job that failed."""
    return ending(JobFailed(job_id=job_id, error=ErrorFrame(code=code, message=message)))
