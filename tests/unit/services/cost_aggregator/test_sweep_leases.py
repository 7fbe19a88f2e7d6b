from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal

import pytest

from services.cost_aggregator.policies.lost_jobs import may_run_again
from services.cost_aggregator.use_cases.sweep_leases import SweepLeases
from shared.domain.catalog import OPENAI, Operation
from shared.domain.ids import AttemptId
from shared.domain.jobs import JobKind, OnInterrupt
from shared.domain.lost_work import Abandonment, LostAttempt, LostJob
from shared.domain.outgoing import OutboxRow
from shared.domain.retry import MAX_FAILED_ATTEMPTS
from shared.domain.rollout import Arm
from shared.domain.work import JobFails, JobWaits
from shared.messages.commands import CompleteChat, EmbedTexts
from shared.messages.events import UsageRecorded
from tests.support.chat_jobs import CALLER, NOW, SetClock, new_chat_job
from tests.support.fakes_of_time import CountingIds
from tests.support.fakes_of_work import RecordingRelay

_LOST_ATTEMPT = LostAttempt(
    id=AttemptId("att_1"),
    provider=OPENAI,
    model="luna",
    price_id="price",
    hold_usd=Decimal("0.25"),
    is_fallback=True,
    started_at=NOW - timedelta(seconds=40),
    arm=Arm("cloudflare:outside"),
)


def _lost(kind: JobKind = JobKind.CHAT, failures: int = 0) -> LostJob:
    job = new_chat_job()
    return LostJob(
        id=job.id,
        caller=CALLER,
        kind=kind,
        queue=job.queue,
        model="auto",
        input_tokens_bound=100,
        max_output_tokens=50,
        on_interrupt=OnInterrupt.FAIL,
        deadline=NOW,
        failure_count=failures,
        lease_owner="worker-1",
        lease_until=NOW,
        attempts=[_LOST_ATTEMPT],
    )


@dataclass
class ScriptedLeases:
    """Implements `LeaseRepository`."""

    lost: list[LostJob]
    is_extended: bool = False
    abandoned: list[Abandonment] = field(default_factory=list[Abandonment])

    async def expired(self, limit: int) -> Sequence[LostJob]:
        return self.lost[:limit]

    async def abandon(self, abandonment: Abandonment) -> Sequence[OutboxRow]:
        self.abandoned.append(abandonment)
        if self.is_extended:
            return []
        return [OutboxRow(n, m.message) for n, m in enumerate(abandonment.messages)]


async def _swept(*lost: LostJob) -> tuple[list[Abandonment], RecordingRelay]:
    leases, relay = ScriptedLeases([*lost]), RecordingRelay()
    assert await SweepLeases(leases, relay, SetClock(), CountingIds())() == len(lost)
    return leases.abandoned, relay


async def test_a_lost_call_is_assumed_to_have_cost_its_hold() -> None:
    (abandonment,), relay = await _swept(_lost())
    event = UsageRecorded.model_validate_json(abandonment.messages[0].message.body)
    assert event.cost_usd == event.hold_usd == Decimal("0.25")
    assert (event.assumed, event.is_error, event.is_fallback) == (True, True, True)
    assert (event.attempt_id, event.latency_ms) == ("att_1", 40_000)
    assert event.arm == "cloudflare:outside"
    assert [row.message for row in relay.rows] == [m.message for m in abandonment.messages]


async def test_a_chat_job_comes_back_as_it_was() -> None:
    job = _lost()
    (abandonment,), _ = await _swept(job)
    assert isinstance(abandonment.step, JobWaits)
    message = abandonment.messages[-1].message
    command = CompleteChat.model_validate_json(message.body)
    assert (message.exchange, message.routing_key) == ("jobs", job.queue)
    assert (command.job_id, command.deadline, command.on_interrupt) == (
        job.id,
        job.deadline,
        OnInterrupt.FAIL,
    )


@pytest.mark.parametrize("kind", [JobKind.EMBED, JobKind.INGEST])
async def test_an_embedding_job_comes_back_as_it_was(kind: JobKind) -> None:
    (abandonment,), _ = await _swept(_lost(kind))
    usage, command = (delayed.message for delayed in abandonment.messages)
    assert EmbedTexts.model_validate_json(command.body).job_kind is kind
    assert UsageRecorded.model_validate_json(usage.body).operation is Operation.EMBED


async def test_a_job_lost_too_often_ends() -> None:
    (abandonment,), _ = await _swept(_lost(failures=MAX_FAILED_ATTEMPTS - 1))
    assert isinstance(abandonment.step, JobFails)
    assert abandonment.terminal_frame == abandonment.messages[-1].message.body


async def test_every_lost_job_is_swept() -> None:
    abandoned, _ = await _swept(_lost(), replace(_lost(), attempts=()))
    assert [len(one.messages) for one in abandoned] == [2, 1]


async def test_an_extended_lease_sends_nothing() -> None:
    leases, relay = ScriptedLeases([_lost()], is_extended=True), RecordingRelay()
    await SweepLeases(leases, relay, SetClock(), CountingIds())()
    assert relay.rows == []


@pytest.mark.parametrize(
    ("failures", "lost", "again"),
    [
        (0, 1, True),
        (MAX_FAILED_ATTEMPTS - 2, 1, True),
        (MAX_FAILED_ATTEMPTS - 1, 1, False),
        (MAX_FAILED_ATTEMPTS - 1, 0, True),
        (0, MAX_FAILED_ATTEMPTS, False),
    ],
)
def test_lost_attempts_count_as_failures(failures: int, lost: int, *, again: bool) -> None:
    assert may_run_again(failures, lost) is again


async def test_calls_side_by_side_are_charged_each_and_count_as_one_failure() -> None:
    hedge = replace(_LOST_ATTEMPT, id=AttemptId("att_2"), is_hedge=True)
    job = replace(_lost(failures=MAX_FAILED_ATTEMPTS - 2), attempts=[_LOST_ATTEMPT, hedge])
    (abandonment,), _ = await _swept(job)
    assert isinstance(abandonment.step, JobWaits)
    bodies = [delayed.message.body for delayed in abandonment.messages[:2]]
    events = [UsageRecorded.model_validate_json(body) for body in bodies]
    assert [(one.attempt_id, one.is_hedge) for one in events] == [("att_1", None), ("att_2", True)]
    assert [one.cost_usd for one in events] == [Decimal("0.25")] * 2
