"""Chat jobs, claims, settlements and ledger entries as tests need them, with little to say."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.access import Caller
from shared.domain.budgets import scopes_of
from shared.domain.catalog import CLOUDFLARE, Operation, Tier
from shared.domain.claims import Claimed, ClaimRequest, NoRoom, Parking
from shared.domain.gates import CHAT_QUEUE_BY_TIER
from shared.domain.ids import AttemptId, JobId, KeyId, UserId
from shared.domain.jobs import AttemptOutcome, JobKind, OnInterrupt
from shared.domain.ledger import LedgerEntry
from shared.domain.outgoing import DelayedMessage, OutgoingMessage
from shared.domain.usage import TokenUsage
from shared.domain.work import AttemptResult, JobFails, JobStep, JobSucceeds, NewJob, Settlement
from shared.messages.commands import CompleteChat
from shared.messages.endings import failure
from shared.messages.usage import CallFacts, usage_message
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.jobs import PostgresJobs
from shared.system import RandomIds

NOW = datetime(2100, 1, 15, 12, tzinfo=UTC)
"""After the window in which the database was migrated, whenever that was."""
USER = UserId("user-1")
CALLER = Caller(USER, KeyId("key-1"), Tier.PAID, frozenset({"jobs"}))
WORKER = "worker-1"
LEASE = timedelta(seconds=30)
HOLD = Decimal("0.01")
COST = Decimal("0.004")
SUCCEEDS = JobSucceeds('{"message": {"role": "assistant", "content": "Hello"}}')
_IDS = RandomIds()


@dataclass
class SetClock:
    """Implements `Clock`; shows the time it is set to."""

    time: datetime = NOW

    def now(self) -> datetime:
        """Return the set time."""
        return self.time

    def monotonic(self) -> float:
        """Return seconds of the set time."""
        return self.time.timestamp()


def of_user(user: str, tier: Tier = Tier.PAID) -> Caller:
    """Return a caller of their own."""
    return Caller(UserId(user), KeyId(f"key-of-{user}"), tier, frozenset({"jobs"}))


def new_chat_job(
    caller: Caller = CALLER,
    *,
    key: str | None = None,
    deadline: datetime | None = None,
    prompt: str = "Say hello",
) -> NewJob:
    """Return a chat job with its command; `key` is its idempotency key."""
    job_id = JobId(_IDS.new("job"))
    queue = CHAT_QUEUE_BY_TIER[caller.tier]
    command = _command(job_id, caller, deadline)
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 50}
    return NewJob(
        id=job_id,
        caller=caller,
        kind=JobKind.CHAT,
        queue=queue,
        model="auto",
        request_json=orjson.dumps(body).decode(),
        request_hash=prompt.encode(),
        input_tokens_bound=100,
        max_output_tokens=50,
        on_interrupt=OnInterrupt.RESTART,
        deadline=deadline,
        idempotency_key=key,
        metadata_json=None,
        created_at=NOW,
        command=OutgoingMessage(
            command.message_id, "jobs", queue, command.model_dump_json().encode()
        ),
    )


def _command(job_id: JobId, caller: Caller, deadline: datetime | None) -> CompleteChat:
    return CompleteChat(
        message_id=f"{job_id}:start",
        correlation_id=job_id,
        occurred_at=NOW,
        job_id=job_id,
        user_id=caller.user_id,
        key_id=caller.key_id,
        tier=caller.tier,
        model="auto",
        input_tokens_bound=100,
        max_output_tokens=50,
        deadline=deadline,
    )


async def submitted(engine: AsyncEngine, job: NewJob | None = None) -> NewJob:
    """Store a chat job."""
    job = job or new_chat_job()
    await PostgresJobs(engine).submit(job)
    return job


def claim_of(
    job: NewJob, worker: str = WORKER, *, hold_usd: Decimal = HOLD, now: datetime = NOW
) -> ClaimRequest:
    """Return a first claim of a job, under every scope that applies to it."""
    caller = job.caller
    scopes = scopes_of(caller.tier, caller.user_id, caller.key_id, CLOUDFLARE)
    return ClaimRequest(
        job_id=job.id,
        attempt_id=AttemptId(_IDS.new("att")),
        worker=worker,
        lease=LEASE,
        provider=CLOUDFLARE,
        model="model",
        price_id="price",
        hold_usd=hold_usd,
        is_fallback=False,
        scopes=[str(scope) for scope in scopes],
        now=now,
    )


async def claimed(engine: AsyncEngine, request: ClaimRequest) -> Claimed:
    """Open an attempt."""
    outcome = await PostgresAttempts(engine).claim(request)
    assert isinstance(outcome, Claimed), outcome
    return outcome


def parking_of(
    job: NewJob,
    scope: str = "global",
    until: datetime | None = NOW + timedelta(hours=1),
    *,
    hold_usd: Decimal = HOLD,
    worker: str = WORKER,
) -> Parking:
    """Return the parking of a job that waits for room in a budget."""
    no_room = NoRoom(scope, until, detail=f"no room in budget {scope}")
    return Parking(job.id, worker, no_room, hold_usd, job.command)


def settlement_of(
    job: NewJob, request: ClaimRequest, step: JobStep = SUCCEEDS, *, cost_usd: Decimal = COST
) -> Settlement:
    """Return a claim's settlement with its usage event and, when it ends the job, its frame."""
    ends = isinstance(step, JobSucceeds | JobFails)
    outcome = AttemptOutcome.FAILED if isinstance(step, JobFails) else AttemptOutcome.SUCCEEDED
    result = AttemptResult(outcome, TokenUsage(10, 5), cost_usd=cost_usd)
    frame = failure(job.id, "ended", "for a test")
    usage = usage_message(call_facts(job, request), result, ended_at=request.now, latency_ms=7)
    messages = [DelayedMessage(usage), *([DelayedMessage(frame)] if ends else [])]
    return Settlement(
        job_id=job.id,
        attempt_id=request.attempt_id,
        worker=request.worker,
        result=result,
        step=step,
        messages=messages,
        finished_at=request.now,
        latency_ms=7,
        terminal_frame=frame.body if ends else None,
        failures=int(outcome is AttemptOutcome.FAILED),
    )


def ledger_entry(
    job: NewJob | None = None,
    request: ClaimRequest | None = None,
    *,
    cost_usd: Decimal = COST,
    occurred_at: datetime = NOW,
) -> LedgerEntry:
    """Return the line that a settled attempt, or one that never was, leaves in the ledger."""
    job = job or new_chat_job()
    request = request or claim_of(job)
    return LedgerEntry(
        id=request.attempt_id,
        job_id=job.id,
        user_id=job.caller.user_id,
        key_id=job.caller.key_id,
        tier=job.caller.tier,
        operation=Operation.CHAT,
        provider=request.provider,
        model=request.model,
        model_answered=None,
        price_id=request.price_id,
        usage=TokenUsage(10, 5),
        neurons=Decimal(2),
        list_cost_usd=cost_usd,
        cost_usd=cost_usd,
        hold_usd=request.hold_usd,
        is_fallback=request.is_fallback,
        is_error=False,
        assumed=False,
        latency_ms=7,
        occurred_at=occurred_at,
        arm=request.arm,
        is_hedge=request.is_hedge,
    )


def further(request: ClaimRequest) -> ClaimRequest:
    """Return the same worker's next claim of the same job."""
    return replace(request, attempt_id=AttemptId(_IDS.new("att")))


def hedge_of(request: ClaimRequest, *, hold_usd: Decimal = HOLD) -> ClaimRequest:
    """Return the claim of a second attempt beside a paid user's first one."""
    scopes = [*request.scopes, "hedge:paid"]
    return replace(further(request), is_hedge=True, scopes=scopes, hold_usd=hold_usd)


async def rows(
    engine: AsyncEngine, query: str, **parameters: object
) -> Sequence[tuple[object, ...]]:
    """Ask the database behind the repositories' backs."""
    async with engine.connect() as connection:
        found = await connection.execute(text(query), parameters)
        return [tuple(row) for row in found]


async def change(engine: AsyncEngine, statement: str, **parameters: object) -> None:
    """Change the database behind the repositories' backs."""
    async with engine.begin() as connection:
        await connection.execute(text(statement), parameters)


def call_facts(job: NewJob, request: ClaimRequest) -> CallFacts:
    """Return what is known of a claimed call."""
    return CallFacts(
        attempt_id=request.attempt_id,
        job_id=job.id,
        caller=job.caller,
        operation=Operation.CHAT,
        provider=request.provider,
        model=request.model,
        price_id=request.price_id,
        hold_usd=request.hold_usd,
        is_fallback=request.is_fallback,
        arm=request.arm,
        is_hedge=request.is_hedge,
    )
