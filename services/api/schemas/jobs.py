"""Jobs as clients see them.

Invariant: a body is built from a view by one function, so that `GET`, lists and events agree.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import orjson
from pydantic import BaseModel, JsonValue

from shared.domain.jobs import Waiting
from shared.domain.usage import TokenUsage
from shared.domain.views import AttemptView, ErrorView, JobView
from shared.messages.frames import ErrorFrame, Usd, UsageFrame, WaitingFrame


class JobLinks(BaseModel):
    """Where the job can be read and watched."""

    self: str
    events: str


class JobAccepted(BaseModel):
    """A job that is durable."""

    id: str
    object: Literal["job"] = "job"
    kind: str
    status: Literal["queued"] = "queued"
    queue: str
    created_at: datetime
    links: JobLinks


class WaitingBody(BaseModel):
    """Why a queued job is not being worked on, until when if known."""

    reason: str
    until: datetime | None
    detail: str


class AttemptBody(BaseModel):
    """One provider call; one that was skipped has neither id nor number.

    Attributes:
        is_diverted: Whether a budget made it take the cheaper route.
        arm: The side of the rollout that it was routed by; null for calls older than that record.
        is_hedge: Whether it was made beside another one that was slow to begin. Of the two, the one
            that answers later is closed, with the error `hedge_lost`.
    """

    id: str | None
    number: int | None
    provider: str
    model: str
    model_answered: str | None
    outcome: str
    error: ErrorFrame | None
    usage: UsageFrame
    cost_usd: Usd
    assumed: bool
    is_diverted: bool
    is_hedge: bool
    arm: str | None
    started_at: datetime
    latency_ms: int | None


class JobBody(BaseModel):
    """A job; `result` and `attempts` are left out of lists."""

    id: str
    object: Literal["job"] = "job"
    kind: str
    status: str
    queue: str
    model_requested: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    deadline: datetime | None
    waiting: WaitingBody | None
    result: JsonValue = None
    error: ErrorFrame | None
    provider: str | None
    model: str | None
    usage: UsageFrame
    cost_usd: Usd
    is_fallback: bool
    latency_ms: int | None
    metadata: JsonValue = None
    attempts: list[AttemptBody]
    links: JobLinks


class JobPage(BaseModel):
    """Jobs, newest first; `next` is the `after` of the next page."""

    object: Literal["list"] = "list"
    data: list[JobBody]
    has_more: bool
    next: str | None


def links_of(job_id: str) -> JobLinks:
    """Return the addresses of a job, relative to the server."""
    return JobLinks(self=f"/v1/jobs/{job_id}", events=f"/v1/jobs/{job_id}/events")


def job_body(view: JobView, waiting: Waiting | None) -> JobBody:
    """Return the body of a job without its result, which may be large and is spliced in."""
    return JobBody(
        id=view.id,
        kind=view.kind,
        status=view.status,
        queue=view.queue,
        model_requested=view.model_requested,
        created_at=view.created_at,
        started_at=view.started_at,
        finished_at=view.finished_at,
        deadline=view.deadline,
        waiting=None if waiting is None else _waiting_body(waiting),
        error=error_frame(view.error),
        provider=view.provider,
        model=view.model,
        usage=usage_frame(view.usage),
        cost_usd=view.cost_usd,
        is_fallback=view.is_fallback,
        latency_ms=view.latency_ms,
        metadata=None if view.metadata_json is None else orjson.loads(view.metadata_json),
        attempts=[_attempt_body(attempt) for attempt in view.attempts],
        links=links_of(view.id),
    )


def job_json(body: JobBody, result: bytes | None) -> bytes:
    """Return the JSON of a job with its result's own JSON in place."""
    if result is None:
        return body.model_dump_json().encode()
    return orjson.dumps({**body.model_dump(mode="json"), "result": orjson.Fragment(result)})


def job_page(views: Sequence[tuple[JobView, Waiting | None]], limit: int) -> JobPage:
    """Return one page of at most `limit` jobs; one view more tells that there is a next page."""
    shown = [job_body(view, waiting) for view, waiting in views[:limit]]
    has_more = len(views) > limit
    return JobPage(data=shown, has_more=has_more, next=shown[-1].id if has_more else None)


def usage_frame(usage: TokenUsage) -> UsageFrame:
    """Return a usage as it goes over the wire."""
    return UsageFrame(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, neurons=usage.neurons
    )


def error_frame(error: ErrorView | None) -> ErrorFrame | None:
    """Return a failure as it goes over the wire."""
    return None if error is None else ErrorFrame(code=error.code, message=error.message)


def waiting_frame(waiting: Waiting | None) -> WaitingFrame | None:
    """Return the reason to wait as it goes over the wire."""
    if waiting is None:
        return None
    until = None if waiting.until is None else waiting.until.isoformat().replace("+00:00", "Z")
    return WaitingFrame(reason=waiting.reason, until=until, detail=waiting.detail)


def _waiting_body(waiting: Waiting) -> WaitingBody:
    return WaitingBody(reason=waiting.reason, until=waiting.until, detail=waiting.detail)


def _attempt_body(attempt: AttemptView) -> AttemptBody:
    return AttemptBody(
        id=attempt.id,
        number=attempt.number,
        provider=attempt.provider,
        model=attempt.model,
        model_answered=attempt.model_answered,
        outcome=attempt.outcome,
        error=error_frame(attempt.error),
        usage=usage_frame(attempt.usage),
        cost_usd=attempt.cost_usd,
        assumed=attempt.assumed,
        is_diverted=attempt.is_diverted,
        is_hedge=attempt.is_hedge,
        arm=attempt.arm,
        started_at=attempt.started_at,
        latency_ms=attempt.latency_ms,
    )
