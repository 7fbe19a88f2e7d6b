"""Books usage events: each attempt once, whatever the broker does."""

from collections.abc import Callable, Sequence

import structlog

from shared.domain.ledger import LedgerEntry
from shared.domain.usage import TokenUsage
from shared.messages.events import UsageRecorded
from shared.ports.messaging import ControlHint
from shared.ports.money import Ledger

_log = structlog.stdlib.get_logger(__name__)


class BookUsage:
    """Idempotent by attempt id: repeats find their entry and change nothing.

    `on_alert` is told after a commit that has fired thresholds.
    """

    def __init__(
        self, ledger: Ledger, hint: ControlHint, on_alert: Callable[[], None] = lambda: None
    ) -> None:
        self._ledger = ledger
        self._hint = hint
        self._on_alert = on_alert

    async def __call__(self, events: Sequence[UsageRecorded]) -> None:
        """Book events in one commit.

        Raises:
            DatabaseUnavailableError: It is unknown whether the events were booked.
        """
        entries = [_entry(event) for event in events]
        for entry in entries:
            if entry.list_cost_usd > entry.hold_usd:
                # A bound on tokens or a rate is too low, so that a hard limit may be overrun.
                _log.warning("usage.above_hold", attempt_id=entry.id, price_id=entry.price_id)
        booked = await self._ledger.book(entries)
        if booked.gates_moved:
            await self._hint.send()
        if booked.alerts:
            self._on_alert()


def _entry(event: UsageRecorded) -> LedgerEntry:
    return LedgerEntry(
        id=event.attempt_id,
        job_id=event.job_id,
        user_id=event.user_id,
        key_id=event.key_id,
        tier=event.tier,
        operation=event.operation,
        provider=event.provider,
        model=event.model,
        model_answered=event.model_answered,
        price_id=event.price_id,
        usage=_usage(event),
        neurons=event.neurons,
        list_cost_usd=event.cost_usd if event.list_cost_usd is None else event.list_cost_usd,
        cost_usd=event.cost_usd,
        hold_usd=event.hold_usd,
        is_fallback=event.is_fallback,
        is_error=event.is_error,
        assumed=event.assumed,
        latency_ms=event.latency_ms,
        occurred_at=event.occurred_at,
        provider_request_id=event.provider_request_id,
        arm=event.arm,
        is_hedge=bool(event.is_hedge),
    )


def _usage(event: UsageRecorded) -> TokenUsage:
    return TokenUsage(
        event.input_tokens,
        event.output_tokens,
        event.neurons_reported,
        cached_tokens=event.cached_tokens or 0,
        cache_write_tokens=event.cache_write_tokens or 0,
        service_tier=event.service_tier,
    )
