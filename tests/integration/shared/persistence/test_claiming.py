import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Window
from shared.domain.claims import Claimed, ClaimOutcome, ClaimRequest, NoRoom, Unclaimable
from shared.domain.gates import CHAT_PAID, GateActor, GateState
from shared.domain.ids import JobId
from shared.domain.work import JobContinues, JobWaits, NewJob
from shared.messages.endings import failure
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.gates import PostgresGates
from shared.persistence.repositories.leases import PostgresLeases
from shared.persistence.repositories.ledger import PostgresLedger
from shared.ports.gates import GateChange
from tests.support.chat_jobs import (
    COST,
    HOLD,
    NOW,
    SetClock,
    claim_of,
    claimed,
    further,
    ledger_entry,
    new_chat_job,
    of_user,
    parking_of,
    rows,
    settlement_of,
    submitted,
)

_TOMORROW = datetime(2100, 1, 16, tzinfo=NOW.tzinfo)


async def _limit(engine: AsyncEngine, scope: str, limit_usd: Decimal) -> None:
    budget = Budget(BudgetScope.parse(scope), Window.DAY, limit_usd)
    await PostgresBudgets(engine, SetClock()).put(budget, "test")


async def _held(engine: AsyncEngine, scope: str) -> object:
    return (await rows(engine, "SELECT held_usd FROM budgets WHERE scope = :scope", scope=scope))[
        0
    ][0]


async def _several(engine: AsyncEngine, count: int) -> list[NewJob]:
    return [await submitted(engine) for _ in range(count)]


async def _together(engine: AsyncEngine, requests: list[ClaimRequest]) -> list[ClaimOutcome]:
    attempts = PostgresAttempts(engine)
    return await asyncio.gather(*(attempts.claim(request) for request in requests))


async def test_a_claim_takes_the_lease_and_opens_an_attempt(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    claim = await claimed(engine, request)
    assert (claim.number, claim.cost_so_far_usd, claim.failures_so_far) == (1, Decimal(0), 0)
    assert claim.created_at == job.created_at
    opened = await rows(
        engine,
        "SELECT a.id, a.outcome, a.hold_usd, j.status, j.lease_owner, "
        "j.lease_until > now() + interval '20 s' FROM attempts a JOIN jobs j ON j.id = a.job_id",
    )
    assert opened == [(request.attempt_id, "running", HOLD, "running", request.worker, True)]


async def test_an_unknown_job_is_missing(engine: AsyncEngine) -> None:
    request = replace(claim_of(new_chat_job()), job_id=JobId("job_unknown"))
    assert await PostgresAttempts(engine).claim(request) is Unclaimable.MISSING


async def test_a_finished_job_is_done(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    await PostgresAttempts(engine).expire(job.id, failure(job.id, "late", "too late"))
    assert await PostgresAttempts(engine).claim(claim_of(job)) is Unclaimable.DONE


async def test_a_settled_job_is_done(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    attempts = PostgresAttempts(engine)
    await attempts.settle(settlement_of(job, request))
    assert await attempts.claim(further(request)) is Unclaimable.DONE


async def test_a_job_past_its_deadline_is_not_started(engine: AsyncEngine) -> None:
    job = await submitted(engine, new_chat_job(deadline=NOW))
    assert await PostgresAttempts(engine).claim(claim_of(job)) is Unclaimable.DEADLINE_PASSED


async def test_a_job_before_its_deadline_is_started(engine: AsyncEngine) -> None:
    job = await submitted(engine, new_chat_job(deadline=NOW + timedelta(seconds=1)))
    await claimed(engine, claim_of(job))


async def test_another_workers_job_is_leased(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    await claimed(engine, claim_of(job, "worker-1"))
    attempts = PostgresAttempts(engine)
    assert await attempts.claim(claim_of(job, "worker-2")) is Unclaimable.LEASED


async def test_of_two_workers_one_gets_the_job(
    engine: AsyncEngine, second_engine: AsyncEngine
) -> None:
    jobs = await _several(engine, 10)
    first, second = await asyncio.gather(
        _together(engine, [claim_of(job, "worker-1") for job in jobs]),
        _together(second_engine, [claim_of(job, "worker-2") for job in reversed(jobs)]),
    )
    for one, other in zip(first, reversed(second), strict=True):
        assert isinstance(one, Claimed) is not isinstance(other, Claimed)
        assert Unclaimable.LEASED in {one, other}
    assert await rows(engine, "SELECT count(*) FROM attempts") == [(10,)]


async def test_a_claim_repeated_after_its_commit_changes_nothing(engine: AsyncEngine) -> None:
    await _limit(engine, "global", HOLD)
    job = await submitted(engine)
    request = claim_of(job)
    first = await claimed(engine, request)
    assert await claimed(engine, request) == first
    assert await rows(engine, "SELECT count(*) FROM attempts") == [(1,)]
    assert await _held(engine, "global") == HOLD


async def test_a_worker_goes_on_with_its_job(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    await PostgresAttempts(engine).settle(settlement_of(job, request, JobContinues()))
    claim = await claimed(engine, further(request))
    assert (claim.number, claim.cost_so_far_usd) == (2, COST)
    assert (claim.usage_so_far.input_tokens, claim.usage_so_far.output_tokens) == (10, 5)


async def test_a_job_whose_call_may_be_under_way_is_not_called_again(engine: AsyncEngine) -> None:
    """Else the first attempt would stay open for ever when its settlement got lost."""
    job = await submitted(engine)
    request = claim_of(job)
    await claimed(engine, request)
    assert await PostgresAttempts(engine).claim(further(request)) is Unclaimable.LEASED


async def test_a_job_that_waited_is_claimed_by_anyone(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    request = claim_of(job, "worker-1")
    await claimed(engine, request)
    await PostgresAttempts(engine).settle(settlement_of(job, request, JobWaits()))
    assert (await claimed(engine, claim_of(job, "worker-2"))).number == 2


@pytest.mark.parametrize("state", [GateState.PAUSED, GateState.CLOSED])
async def test_behind_a_shut_gate_nothing_is_claimed(engine: AsyncEngine, state: GateState) -> None:
    """Not by a worker, either, that has not heard of it and is between two calls of a job."""
    fresh, held = await _several(engine, 2)
    request = claim_of(held)
    await claimed(engine, request)
    attempts = PostgresAttempts(engine)
    await attempts.settle(settlement_of(held, request, JobContinues()))
    gate = GateChange(CHAT_PAID, state, "why", GateActor.PERSON, "ann")
    await PostgresGates(engine).change(gate)
    for again in (claim_of(fresh), further(request)):
        assert await attempts.claim(again) is Unclaimable.GATE_SHUT


async def test_a_hold_may_fill_the_limit_exactly(engine: AsyncEngine) -> None:
    await _limit(engine, "global", HOLD * 2)
    first, second, third = await _several(engine, 3)
    await claimed(engine, claim_of(first))
    await claimed(engine, claim_of(second))
    assert isinstance(await PostgresAttempts(engine).claim(claim_of(third)), NoRoom)
    assert await _held(engine, "global") == HOLD * 2


async def test_what_is_refused_leaves_no_trace(engine: AsyncEngine) -> None:
    await _limit(engine, "global", HOLD - Decimal("0.000000001"))
    job = await submitted(engine)
    assert isinstance(await PostgresAttempts(engine).claim(claim_of(job)), NoRoom)
    assert await rows(engine, "SELECT status, lease_owner FROM jobs") == [("queued", None)]
    assert await rows(engine, "SELECT * FROM attempts") == []
    assert await _held(engine, "global") == 0


async def test_a_job_too_dear_for_the_budget_waits_for_its_next_window(
    engine: AsyncEngine,
) -> None:
    await _limit(engine, "global", HOLD / 2)
    job = await submitted(engine)
    assert await PostgresAttempts(engine).claim(claim_of(job)) == NoRoom("global", _TOMORROW)


async def test_a_job_that_only_holds_keep_out_waits_for_them(engine: AsyncEngine) -> None:
    """Holds are worst cases: nearly all of the money comes back within seconds."""
    await _limit(engine, "global", HOLD)
    first, second = await _several(engine, 2)
    await claimed(engine, claim_of(first))
    outcome = await PostgresAttempts(engine).claim(claim_of(second))
    assert isinstance(outcome, NoRoom)
    assert outcome.until is not None
    assert timedelta(0) < outcome.until - NOW <= timedelta(seconds=30)


async def test_the_first_of_a_batch_may_not_fit_while_the_second_does(engine: AsyncEngine) -> None:
    await _limit(engine, "global", HOLD)
    dear, cheap = await _several(engine, 2)
    outcomes = await _together(engine, [claim_of(dear, hold_usd=HOLD * 2), claim_of(cheap)])
    assert isinstance(outcomes[0], NoRoom)
    assert isinstance(outcomes[1], Claimed)


async def test_a_users_limit_stops_no_other_user(engine: AsyncEngine) -> None:
    await _limit(engine, "user:user-1", Decimal(0))
    mine = await submitted(engine)
    other = await submitted(engine, new_chat_job(of_user("user-2")))
    outcomes = await _together(engine, [claim_of(mine), claim_of(other)])
    assert outcomes[0] == NoRoom("user:user-1", _TOMORROW)
    assert isinstance(outcomes[1], Claimed)


async def test_every_scope_is_held_for(engine: AsyncEngine) -> None:
    scopes = ("global", "tier:paid", "user:user-1", "key:key-1", "provider:cloudflare")
    for scope in (*scopes, "provider:openai"):
        await _limit(engine, scope, Decimal(1))
    await claimed(engine, claim_of(await submitted(engine)))
    assert [await _held(engine, scope) for scope in scopes] == [HOLD] * 5
    assert await _held(engine, "provider:openai") == 0


async def test_a_month_waits_for_the_next_month(engine: AsyncEngine) -> None:
    budget = Budget(BudgetScope.parse("global"), Window.MONTH, Decimal(0))
    await PostgresBudgets(engine, SetClock()).put(budget, "test")
    outcome = await PostgresAttempts(engine).claim(claim_of(await submitted(engine)))
    assert outcome == NoRoom("global", datetime(2100, 2, 1, tzinfo=NOW.tzinfo))


async def test_a_new_window_has_room_again(engine: AsyncEngine) -> None:
    await _limit(engine, "global", HOLD)
    await PostgresLedger(engine, SetClock()).book([ledger_entry(cost_usd=HOLD)])
    job = await submitted(engine)
    attempts = PostgresAttempts(engine)
    assert await attempts.claim(claim_of(job)) == NoRoom("global", _TOMORROW)
    assert isinstance(await attempts.claim(claim_of(job, now=_TOMORROW)), Claimed)


async def test_holds_outlive_the_window(engine: AsyncEngine) -> None:
    await _limit(engine, "global", HOLD)
    first, second = await _several(engine, 2)
    await claimed(engine, claim_of(first))
    outcome = await PostgresAttempts(engine).claim(claim_of(second, now=_TOMORROW))
    assert isinstance(outcome, NoRoom)


async def test_claiming_clears_why_the_job_waited(engine: AsyncEngine) -> None:
    job = await submitted(engine)
    attempts = PostgresAttempts(engine)
    await attempts.park(parking_of(job, until=_TOMORROW))
    waiting = "SELECT waiting_reason, waiting_until, waiting_detail FROM jobs"
    assert await rows(engine, waiting) == [("budget", _TOMORROW, "no room in budget global")]
    await claimed(engine, claim_of(job))
    assert await rows(engine, waiting) == [(None, None, None)]


async def test_only_own_leases_are_extended(engine: AsyncEngine) -> None:
    mine, other = await _several(engine, 2)
    await claimed(engine, claim_of(mine, "worker-1"))
    await claimed(engine, claim_of(other, "worker-2"))
    await PostgresAttempts(engine).extend_leases(
        "worker-1", [mine.id, other.id], timedelta(hours=1)
    )
    extended = await rows(
        engine, "SELECT id FROM jobs WHERE lease_until > now() + interval '30 min'"
    )
    assert extended == [(mine.id,)]
    assert await PostgresLeases(engine).expired(10) == []
