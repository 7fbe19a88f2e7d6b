"""One scope's work is held up, slowed or diverted while everybody else's goes on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from shared.domain.budgets import Budget, BudgetScope, Threshold, ThresholdAction, Window
from shared.domain.catalog import OPENAI
from shared.domain.claims import Claimed, Divert, NoRoom
from shared.domain.gates import CHAT_PAID, WORK_QUEUES, GateActor, GateState, ScopeGate
from shared.domain.ids import QueueName
from shared.domain.jobs import WaitingReason
from shared.domain.work import NewJob
from shared.persistence.repositories.attempts import PostgresAttempts
from shared.persistence.repositories.budgets import PostgresBudgets
from shared.persistence.repositories.ledger import PostgresLedger
from shared.persistence.repositories.scope_gates import PostgresScopeGates
from shared.persistence.repositories.timed_gates import PostgresTimedGates
from shared.ports.gates import ScopeChange
from tests.support.chat_jobs import (
    COST,
    NOW,
    SetClock,
    claim_of,
    ledger_entry,
    new_chat_job,
    of_user,
    rows,
    submitted,
)

_USER = "user:user-1"
_TOMORROW = Window.DAY.end(NOW)
_PAID = (CHAT_PAID,)


async def _budget(
    engine: AsyncEngine,
    *thresholds: Threshold,
    scope: str = _USER,
    window: Window = Window.DAY,
    clock: SetClock | None = None,
) -> None:
    budget = Budget(BudgetScope.parse(scope), window, None, thresholds)
    await PostgresBudgets(engine, clock or SetClock()).put(budget, "test")


def _at(usd: Decimal, action: ThresholdAction, concurrency: int = 1) -> Threshold:
    return Threshold(usd, action, _PAID, concurrency)


async def _spend(engine: AsyncEngine, *, clock: SetClock | None = None) -> None:
    now = (clock or SetClock()).now()
    entry = ledger_entry(occurred_at=now)
    await PostgresLedger(engine, clock or SetClock()).book([entry])


async def _move(
    engine: AsyncEngine,
    desired: GateState,
    scope: str = _USER,
    *,
    until: datetime | None = None,
    concurrency: int | None = None,
    queues: Sequence[QueueName] = WORK_QUEUES,
) -> None:
    await PostgresScopeGates(engine).change(
        ScopeChange(
            BudgetScope.parse(scope),
            queues,
            desired,
            "by hand",
            GateActor.PERSON,
            "ann",
            until,
            concurrency,
        )
    )


async def _gates(engine: AsyncEngine) -> list[ScopeGate]:
    return [*await PostgresScopeGates(engine).all()]


async def _claim(engine: AsyncEngine, job: NewJob, now: datetime = NOW) -> object:
    return await PostgresAttempts(engine).claim(claim_of(job, now=now))


async def _flows(engine: AsyncEngine, user: str = "user-2") -> bool:
    job = await submitted(engine, new_chat_job(of_user(user)))
    return isinstance(await _claim(engine, job), Claimed)


@pytest.mark.parametrize("scope", [_USER, "key:key-1"])
async def test_a_crossed_threshold_holds_up_that_scopes_work_alone(
    engine: AsyncEngine, scope: str
) -> None:
    await _budget(engine, _at(COST, ThresholdAction.PAUSE), scope=scope)
    job = await submitted(engine)
    await _spend(engine)
    assert await _claim(engine, job) == NoRoom(scope, _TOMORROW, WaitingReason.BUDGET)
    assert await _flows(engine)


async def test_a_tiers_threshold_holds_up_the_tier(engine: AsyncEngine) -> None:
    await _budget(engine, _at(COST, ThresholdAction.PAUSE), scope="tier:paid")
    await _spend(engine)
    assert not await _flows(engine)


async def test_a_gate_concerns_only_the_queues_it_names(engine: AsyncEngine) -> None:
    await _move(engine, GateState.PAUSED, queues=[QueueName("embed.bulk")])
    assert isinstance(await _claim(engine, await submitted(engine)), Claimed)


async def test_a_paused_provider_refuses_only_its_own_calls(engine: AsyncEngine) -> None:
    await _move(engine, GateState.PAUSED, "provider:cloudflare")
    job = await submitted(engine)
    outcome = await _claim(engine, job)
    assert outcome == NoRoom("provider:cloudflare", None, WaitingReason.QUEUE_PAUSED)
    assert isinstance(outcome, NoRoom)
    assert outcome.concerns_provider
    request = claim_of(job)
    scopes = [scope.replace("cloudflare", "openai") for scope in request.scopes]
    other = replace(request, provider=OPENAI, scopes=scopes)
    assert isinstance(await PostgresAttempts(engine).claim(other), Claimed)


async def test_what_a_person_paused_says_so(engine: AsyncEngine) -> None:
    await _move(engine, GateState.PAUSED)
    outcome = await _claim(engine, await submitted(engine))
    assert outcome == NoRoom(_USER, None, WaitingReason.QUEUE_PAUSED)
    assert isinstance(outcome, NoRoom)
    assert outcome.detail == "by hand"


async def test_closed_gates_are_those_that_refuse_new_jobs(engine: AsyncEngine) -> None:
    await _move(engine, GateState.PAUSED, "user:a")
    await _move(engine, GateState.CLOSED, "user:b", queues=_PAID)
    closed = await PostgresScopeGates(engine).closed()
    assert [(gate.scope, gate.queue) for gate in closed] == [("user:b", CHAT_PAID)]


async def test_a_diverted_scope_asks_for_the_cheaper_route_once(engine: AsyncEngine) -> None:
    await _budget(engine, _at(COST, ThresholdAction.DIVERT))
    await _spend(engine)
    job = await submitted(engine)
    request = claim_of(job)
    attempts = PostgresAttempts(engine)
    assert await attempts.claim(request) == Divert()
    assert isinstance(await attempts.claim(replace(request, is_diverted=True)), Claimed)
    assert await rows(engine, "SELECT is_diverted FROM attempts") == [(True,)]
    later = await submitted(engine)
    assert isinstance(await _claim(engine, later, now=_TOMORROW), Claimed)


async def test_the_global_budget_diverts_all_work(engine: AsyncEngine) -> None:
    await _budget(engine, _at(COST, ThresholdAction.DIVERT), scope="global")
    await _spend(engine)
    job = await submitted(engine, new_chat_job(of_user("user-2")))
    assert await _claim(engine, job) == Divert()


async def test_several_thresholds_work_together(engine: AsyncEngine) -> None:
    await _budget(engine, _at(COST, ThresholdAction.DIVERT), _at(COST * 2, ThresholdAction.SLOW, 3))
    await _spend(engine)
    await _spend(engine)
    (gate,) = await _gates(engine)
    assert (gate.desired, gate.concurrency, gate.diverts_until) == (GateState.SLOWED, 3, _TOMORROW)


async def test_a_raised_threshold_opens_at_once(engine: AsyncEngine) -> None:
    await _budget(engine, _at(COST, ThresholdAction.PAUSE))
    await _spend(engine)
    assert not await _flows(engine, "user-1")
    await _budget(engine, _at(COST * 2, ThresholdAction.PAUSE))
    assert await _flows(engine, "user-1")
    assert await _gates(engine) == []


async def test_two_windows_of_one_scope_act_together(engine: AsyncEngine) -> None:
    """The day's end opens nothing that the month wants shut."""
    clock = SetClock()
    await _budget(engine, _at(COST, ThresholdAction.PAUSE))
    await _budget(engine, _at(COST, ThresholdAction.PAUSE), window=Window.MONTH)
    await _spend(engine)
    (gate,) = await _gates(engine)
    assert gate.until == Window.MONTH.end(NOW)
    await _budget(engine, window=Window.MONTH, clock=clock)
    (gate,) = await _gates(engine)
    assert gate.until == _TOMORROW


async def test_a_gate_reopens_when_its_window_ends(engine: AsyncEngine) -> None:
    ((now,),) = await rows(engine, "SELECT now()")
    assert isinstance(now, datetime)
    yesterday = SetClock(now - timedelta(days=1))
    await _budget(engine, _at(COST, ThresholdAction.PAUSE), clock=yesterday)
    await _spend(engine, clock=yesterday)
    assert len(await _gates(engine)) == 1
    assert await PostgresTimedGates(engine, SetClock(now)).reopen_due()
    assert await _gates(engine) == []
    assert not await PostgresTimedGates(engine, SetClock(now)).reopen_due()
    audit = await rows(
        engine,
        'SELECT from_state, to_state, actor, "by" FROM audit_entries '
        "WHERE kind = 'gate' AND scope = :scope ORDER BY id",
        scope=_USER,
    )
    assert audit == [
        ("running", "paused", "budget", "ledger"),
        ("paused", "running", "budget", "clock"),
    ]


async def test_an_expired_divert_is_cleared_and_audited(engine: AsyncEngine) -> None:
    ((now,),) = await rows(engine, "SELECT now()")
    assert isinstance(now, datetime)
    yesterday = SetClock(now - timedelta(days=1))
    await _budget(engine, _at(COST, ThresholdAction.DIVERT), clock=yesterday)
    await _spend(engine, clock=yesterday)
    assert await PostgresTimedGates(engine, SetClock(now)).reopen_due()
    assert await _gates(engine) == []
    audit = await rows(
        engine, "SELECT from_state, to_state FROM audit_entries WHERE kind = 'gate' ORDER BY id"
    )
    assert audit == [("running", "running, diverted"), ("running, diverted", "running")]


async def test_what_a_person_shut_no_budget_moves(engine: AsyncEngine) -> None:
    await _move(engine, GateState.CLOSED, queues=_PAID)
    await _budget(engine, _at(COST, ThresholdAction.SLOW))
    await _spend(engine)
    await _budget(engine)
    (gate,) = await _gates(engine)
    assert (gate.desired, gate.actor, gate.reason) == (
        GateState.CLOSED,
        GateActor.PERSON,
        "by hand",
    )


async def test_a_person_moves_what_a_budget_shut(engine: AsyncEngine) -> None:
    await _budget(engine, _at(COST, ThresholdAction.PAUSE))
    await _spend(engine)
    await _move(engine, GateState.RUNNING, queues=_PAID)
    assert await _flows(engine, "user-1")


async def test_a_persons_gate_opens_at_its_time_unless_a_budget_wants_it_shut(
    engine: AsyncEngine,
) -> None:
    ((now,),) = await rows(engine, "SELECT now()")
    assert isinstance(now, datetime)
    clock = SetClock(now)
    past = now - timedelta(seconds=1)
    await _move(engine, GateState.CLOSED, until=past, queues=_PAID)
    await _budget(engine, _at(Decimal(0), ThresholdAction.PAUSE), clock=clock)
    assert await PostgresTimedGates(engine, clock).reopen_due()
    (gate,) = await _gates(engine)
    assert (gate.desired, gate.actor) == (GateState.PAUSED, GateActor.BUDGET)
