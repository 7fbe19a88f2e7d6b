from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import structlog

from services.cost_aggregator.use_cases.book_usage import BookUsage
from services.cost_aggregator.use_cases.reopen_gates import ReopenGates
from shared.domain.jobs import AttemptOutcome
from shared.domain.ledger import LedgerEntry
from shared.domain.rollout import Arm
from shared.domain.usage import TokenUsage
from shared.domain.work import AttemptResult
from shared.messages.events import UsageRecorded
from shared.messages.usage import usage_message
from shared.ports.money import Booked
from tests.support.chat_jobs import NOW, call_facts, claim_of, new_chat_job


@dataclass
class ScriptedLedger:
    """Implements `Ledger`."""

    booked: Booked = field(default_factory=lambda: Booked(1, (), gates_moved=False))
    entries: list[LedgerEntry] = field(default_factory=list[LedgerEntry])

    async def book(self, entries: Sequence[LedgerEntry]) -> Booked:
        self.entries += entries
        return self.booked


@dataclass
class CountedHints:
    """Implements `ControlHint`."""

    sent: int = 0

    async def send(self) -> None:
        self.sent += 1


@dataclass
class TimedGates:
    """Gates of which some are due or none."""

    is_due: bool

    async def reopen_due(self) -> bool:
        return self.is_due


def _event() -> UsageRecorded:
    job = new_chat_job()
    result = AttemptResult(
        AttemptOutcome.SUCCEEDED,
        TokenUsage(10, 5, Decimal("0.2")),
        neurons=Decimal("0.21"),
        cost_usd=Decimal("0.00000000231"),
        model_answered="model-v2",
    )
    facts = replace(call_facts(job, claim_of(job)), arm=Arm("cloudflare:inside"))
    message = usage_message(facts, result, ended_at=NOW, latency_ms=9)
    return UsageRecorded.model_validate_json(message.body)


async def test_an_entry_is_what_the_event_says() -> None:
    ledger, event = ScriptedLedger(), _event()
    await BookUsage(ledger, CountedHints())([event])
    (entry,) = ledger.entries
    assert (entry.id, entry.job_id, entry.user_id) == (event.attempt_id, event.job_id, "user-1")
    assert entry.usage == TokenUsage(10, 5, Decimal("0.2"))
    assert entry.cost_usd == entry.list_cost_usd == Decimal("0.00000000231")
    assert (entry.neurons, entry.hold_usd) == (Decimal("0.21"), event.hold_usd)
    assert (entry.model_answered, entry.latency_ms) == ("model-v2", 9)
    assert (entry.occurred_at, entry.arm) == (NOW, "cloudflare:inside")


async def test_an_entry_keeps_list_price_and_what_was_paid() -> None:
    paid = _event().model_copy(
        update={
            "list_cost_usd": Decimal("0.5"),
            "cost_usd": Decimal("0.2"),
            "provider_request_id": "ray-1",
            "cached_tokens": 4,
            "cache_write_tokens": 3,
            "service_tier": "flex",
        }
    )
    ledger = ScriptedLedger()
    await BookUsage(ledger, CountedHints())([paid])
    (entry,) = ledger.entries
    assert (entry.list_cost_usd, entry.cost_usd) == (Decimal("0.5"), Decimal("0.2"))
    assert entry.provider_request_id == "ray-1"
    assert entry.usage == TokenUsage(
        10, 5, Decimal("0.2"), cached_tokens=4, cache_write_tokens=3, service_tier="flex"
    )


async def test_a_call_that_cost_more_than_its_hold_is_told() -> None:
    event = _event()
    dear = event.model_copy(update={"cost_usd": event.hold_usd + Decimal("0.000001")})
    with structlog.testing.capture_logs() as logs:
        await BookUsage(ScriptedLedger(), CountedHints())([event, dear])
    assert [line["attempt_id"] for line in logs] == [event.attempt_id]


async def test_moved_gates_are_hinted() -> None:
    hints = CountedHints()
    await BookUsage(ScriptedLedger(Booked(1, (), gates_moved=True)), hints)([_event()])
    assert hints.sent == 1
    await BookUsage(ScriptedLedger(), hints)([_event()])
    assert hints.sent == 1


async def test_alerts_are_delivered_at_once() -> None:
    told: list[str] = []
    ledger = ScriptedLedger(Booked(2, ("first", "second"), gates_moved=False))
    await BookUsage(ledger, CountedHints(), lambda: told.append("fired"))([_event()])
    assert told == ["fired"]
    await BookUsage(ScriptedLedger(), CountedHints(), lambda: told.append("again"))([_event()])
    assert told == ["fired"]


async def test_reopened_gates_are_hinted() -> None:
    hints = CountedHints()
    await ReopenGates(TimedGates(is_due=False), hints)()
    assert hints.sent == 0
    await ReopenGates(TimedGates(is_due=True), hints)()
    assert hints.sent == 1


async def test_an_entry_knows_whether_it_counts_towards_the_cap_of_hedges() -> None:
    ledger, event = ScriptedLedger(), _event()
    hedge = event.model_copy(update={"is_hedge": True})
    await BookUsage(ledger, CountedHints())([event, hedge])
    assert [entry.is_hedge for entry in ledger.entries] == [False, True]
