"""The settle statement: attempts closed, jobs moved on, messages and deliveries written at once.

Jobs are locked before attempts, as by the lease sweeper: of the two, one comes first and the other
then finds nothing to do. Settling shows that the worker is alive, so a lease that goes on is long
enough for its next step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

import orjson

from shared.domain.jobs import Waiting
from shared.domain.outgoing import OutboxRow, OutgoingMessage
from shared.domain.views import ErrorView
from shared.domain.work import (
    JobContinues,
    JobFails,
    JobStep,
    JobSucceeds,
    JobWaits,
    SettledJob,
    Settlement,
)
from shared.persistence.direct import Execute, HotStatement
from shared.persistence.json_batch import JsonBatch
from shared.persistence.repositories.allowances import (
    allowance_parameters,
    is_any_covered,
    new_with_allowance,
)
from shared.persistence.repositories.outbox import INLINE_GRACE

_SETTLEMENT = JsonBatch(
    "settlements",
    attempt_id="text",
    job_id="text",
    outcome="text",
    error_code="text",
    error_message="text",
    request_id="text",
    model_answered="text",
    input_tokens="integer",
    output_tokens="integer",
    neurons_reported="numeric",
    neurons="numeric",
    cost_usd="numeric",
    latency_ms="integer",
    finished_at="timestamptz",
    next_status="text",
    result="text",
    job_error_code="text",
    job_error_message="text",
    waiting_reason="text",
    waiting_until="timestamptz",
    waiting_detail="text",
    frame="jsonb",
    failures="integer",
    assumed="boolean",
)
_MESSAGE = JsonBatch(
    "messages",
    m_attempt_id="text",
    m_message_id="text",
    m_exchange="text",
    m_routing_key="text",
    m_body="bytea",
    m_mandatory="boolean",
    m_available_at="timestamptz",
)
_STATEMENT = """
    WITH {given} AS MATERIALIZED (SELECT * FROM {settlements}),
    {said} AS MATERIALIZED (SELECT * FROM {messages}),
    ours AS MATERIALIZED (
        SELECT id, cost_usd FROM jobs
        WHERE id IN (SELECT job_id FROM {given}) AND status = 'running' AND lease_owner = :worker
        ORDER BY id FOR UPDATE
    ),
    {priced}
    closed AS (
        UPDATE attempts a SET outcome = n.outcome, error_code = n.error_code,
            error_message = n.error_message, provider_request_id = n.request_id,
            model_answered = n.model_answered, input_tokens = n.input_tokens,
            output_tokens = n.output_tokens, neurons_reported = n.neurons_reported,
            neurons = n.neurons, cost_usd = n.cost_usd, latency_ms = n.latency_ms,
            finished_at = n.finished_at, assumed = n.assumed
        FROM new n JOIN ours ON ours.id = n.job_id
        WHERE a.id = n.attempt_id AND a.outcome = 'running' AND a.worker = :worker
        RETURNING a.id, a.provider, a.model, a.is_fallback
    ),
    moved AS (
        UPDATE jobs j SET status = n.next_status, provider = c.provider, model = c.model,
            is_fallback = c.is_fallback,
            input_tokens = j.input_tokens + n.input_tokens * s.succeeded,
            output_tokens = j.output_tokens + n.output_tokens * s.succeeded,
            neurons = nullif(coalesce(j.neurons, 0) + n.neurons * s.succeeded, 0),
            cost_usd = j.cost_usd + n.cost_usd,
            failure_count = j.failure_count + n.failures,
            error_code = n.job_error_code, error_message = n.job_error_message,
            waiting_reason = n.waiting_reason, waiting_until = n.waiting_until,
            waiting_detail = n.waiting_detail,
            lease_owner = CASE n.next_status WHEN 'running' THEN j.lease_owner END,
            lease_until = CASE n.next_status WHEN 'running'
                THEN greatest(j.lease_until, now() + CAST(:grace AS interval)) END,
            finished_at = CASE WHEN n.frame IS NOT NULL THEN n.finished_at END,
            latency_ms = CASE WHEN n.frame IS NOT NULL
                THEN greatest(0, extract(epoch FROM n.finished_at - j.created_at) * 1000) END
        FROM closed c JOIN new n ON n.attempt_id = c.id
        CROSS JOIN LATERAL (SELECT CAST(n.outcome = 'succeeded' AS integer) AS succeeded) AS s
        WHERE j.id = n.job_id
        RETURNING j.id, j.user_id
    ),
    done AS MATERIALIZED (
        SELECT m.id, m.user_id, n.frame, n.result, n.finished_at,
            row_number() OVER (PARTITION BY m.user_id ORDER BY n.position) AS rank,
            count(*) OVER (PARTITION BY m.user_id) AS total
        FROM moved m JOIN new n ON n.job_id = m.id WHERE n.frame IS NOT NULL
    ),
    contents AS (
        UPDATE job_contents SET result = done.result
        FROM done WHERE job_id = done.id AND done.result IS NOT NULL
    ),
    unneeded AS (DELETE FROM answer_checkpoints WHERE job_id IN (SELECT id FROM done)),
    cursor AS (
        INSERT INTO client_cursors AS c (user_id, last_seq)
        SELECT user_id, max(total) FROM done GROUP BY user_id ORDER BY user_id
        ON CONFLICT (user_id) DO UPDATE SET last_seq = c.last_seq + excluded.last_seq
        RETURNING user_id, last_seq
    ),
    delivered AS (
        INSERT INTO deliveries (user_id, seq, job_id, frame, created_at)
        SELECT user_id, last_seq - total + rank, id, frame, finished_at
        FROM done JOIN cursor USING (user_id)
    ),
    queued AS (
        INSERT INTO outbox (message_id, exchange, routing_key, body, mandatory, available_at)
        SELECT m_message_id, m_exchange, m_routing_key, m_body, m_mandatory,
            coalesce(m_available_at, now() + CAST(:grace AS interval))
        FROM message JOIN closed ON closed.id = m_attempt_id ORDER BY message.position
        RETURNING id AS outbox_id, message_id
    )
    SELECT closed.id AS attempt_id, queued.message_id, queued.outbox_id, {body} AS body,
        {frame} AS frame
    FROM closed LEFT JOIN message ON m_attempt_id = closed.id
    LEFT JOIN queued ON queued.message_id = m_message_id
"""


def _settle(given: str, said: str, priced: str, body: str, frame: str) -> HotStatement:
    """Return the statement.

    Args:
        given: The name of the settlements as the workers made them; what counts is `new`.
        said: The name of the messages as the workers made them; what is sent is `message`.
        priced: What makes the one into the other, if they differ.
        body: A message's body, where it differs.
        frame: The job's last frame, where it differs.
    """
    settlements, messages = _SETTLEMENT.table("n"), _MESSAGE.table("m")
    return HotStatement.of(
        _STATEMENT.format(
            given=given,
            said=said,
            settlements=settlements,
            messages=messages,
            priced=priced,
            body=body,
            frame=frame,
        )
    )


_SETTLE = _settle("new", "message", "", "CAST(NULL AS bytea)", "CAST(NULL AS text)")
_SETTLE_WITH_ALLOWANCE = _settle(
    "given",
    "said",
    new_with_allowance(_SETTLEMENT),
    "CASE WHEN message.is_rewritten THEN message.m_body END",
    "(SELECT CAST(n.frame AS text) FROM new n WHERE n.attempt_id = closed.id)",
)


@dataclass(frozen=True, slots=True)
class _Queued:
    """A message's place in the outbox, and its body where the statement rewrote it."""

    outbox_id: int
    body: bytes | None

    def row(self, message: OutgoingMessage) -> OutboxRow:
        """Return the message as it was committed."""
        if self.body is not None:
            message = replace(message, body=bytes(self.body))
        return OutboxRow(self.outbox_id, message)


async def settle_batch(execute: Execute, settlements: Sequence[Settlement]) -> Sequence[SettledJob]:
    """Settle all, each for itself; they come from one worker and from different jobs."""
    messages = [
        (
            s.attempt_id,
            m.message.message_id,
            m.message.exchange,
            m.message.routing_key,
            m.message.body,
            m.message.mandatory,
            m.available_at,
        )
        for s in settlements
        for m in s.messages
    ]
    parameters = {
        **_SETTLEMENT.parameters([_values(s) for s in settlements]),
        **_MESSAGE.parameters(messages),
        "worker": settlements[0].worker,
        "grace": INLINE_GRACE,
    }
    if is_any_covered(settlements):
        parameters |= allowance_parameters(settlements)
        rows = await execute(_SETTLE_WITH_ALLOWANCE, parameters)
    else:
        rows = await execute(_SETTLE, parameters)
    queued: dict[str, dict[str, _Queued]] = {}
    frames: dict[str, str] = {}
    for row in rows:
        message = _Queued(row["outbox_id"], row["body"])
        queued.setdefault(row["attempt_id"], {})[row["message_id"]] = message
        if row["frame"] is not None:
            frames[row["attempt_id"]] = row["frame"]
    return [_settled(s, queued.get(s.attempt_id), frames.get(s.attempt_id)) for s in settlements]


def _settled(
    settlement: Settlement, queued: Mapping[str, _Queued] | None, rewritten: str | None
) -> SettledJob:
    if queued is None:
        return SettledJob(applied=False, outbox=())
    return SettledJob(
        applied=True,
        outbox=[
            queued[m.message.message_id].row(m.message)
            for m in settlement.messages
            if m.available_at is None
        ],
        terminal_frame=settlement.terminal_frame if rewritten is None else rewritten.encode(),
    )


def _values(settlement: Settlement) -> Sequence[object]:
    result = settlement.result
    error = result.error
    frame = settlement.terminal_frame
    return (
        settlement.attempt_id,
        settlement.job_id,
        result.outcome.value,
        error.code if error else None,
        error.message if error else None,
        result.provider_request_id,
        result.model_answered,
        result.usage.input_tokens,
        result.usage.output_tokens,
        result.usage.neurons,
        result.neurons,
        result.cost_usd,
        settlement.latency_ms,
        settlement.finished_at,
        *_step_values(settlement.step),
        orjson.Fragment(frame) if frame is not None else None,
        settlement.failures,
        result.usage.is_assumed,
    )


def _step_values(step: JobStep) -> Sequence[object]:
    match step:
        case JobSucceeds():
            return ("succeeded", step.result_json, *_reasons(None, None))
        case JobFails():
            return ("failed", None, *_reasons(step.error, None))
        case JobContinues():
            return ("running", None, *_reasons(None, None))
        case JobWaits():
            return ("queued", None, *_reasons(None, step.waiting))
        case _:
            assert_never(step)


def _reasons(error: ErrorView | None, waiting: Waiting | None) -> Sequence[object]:
    return (
        error.code if error else None,
        error.message if error else None,
        waiting.reason.value if waiting else None,
        waiting.until if waiting else None,
        waiting.detail if waiting else None,
    )
