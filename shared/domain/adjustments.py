"""The entries that bring the ledger to what a provider's invoice says.

Where the invoice wants less, calls charged at their hold are corrected first, each in proportion:
nobody knows which of them were made. What they do not explain is booked as one entry per day and
model, which belongs to no user.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from decimal import Decimal

from shared.domain.catalog import Operation, Provider, Tier
from shared.domain.ids import AttemptId, JobId, KeyId, UserId
from shared.domain.invoices import InvoiceLine
from shared.domain.ledger import LedgerEntry
from shared.domain.money import ZERO_USD
from shared.domain.usage import NO_USAGE

NOBODY = "invoice"
"""User and key of an adjustment that no call explains."""
_EXACT = Decimal("0.000000000001")
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|\d{4})$")
_NOON = time(12, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class ModelDay:
    """One model's day on the invoice and in the ledger."""

    day: date
    model: str
    invoice_usd: Decimal
    ledger_usd: Decimal

    @property
    def difference_usd(self) -> Decimal:
        """Return what the invoice wants beyond the ledger."""
        return self.invoice_usd - self.ledger_usd


@dataclass(frozen=True, slots=True)
class LedgerSum:
    """What the ledger has of a model on a day, and the tier and operation that cost most of it."""

    cost_usd: Decimal
    tier: Tier
    operation: Operation


@dataclass(frozen=True, slots=True)
class AssumedEntry:
    """An entry charged at its hold.

    Attributes:
        left_usd: What of it has not been corrected yet.
    """

    entry: LedgerEntry
    left_usd: Decimal


def compare(
    lines: Iterable[InvoiceLine], sums: Mapping[tuple[date, str], LedgerSum]
) -> Sequence[ModelDay]:
    """Return invoice and ledger side by side, by day and model.

    Args:
        lines: Of the invoice.
        sums: The ledger's, of the invoice's provider, from its first day to its last.
    """
    models = sorted({model for _, model in sums})
    invoiced: defaultdict[tuple[date, str], Decimal] = defaultdict(Decimal)
    for line in lines:
        invoiced[line.day, name_in_ledger(line.model, models)] += line.cost_usd
    return [
        ModelDay(*key, invoiced.get(key, ZERO_USD), sums[key].cost_usd if key in sums else ZERO_USD)
        for key in sorted({*invoiced, *sums})
    ]


def name_in_ledger(model: str, models: Sequence[str]) -> str:
    """Return the name that the ledger has for an invoice's model: without snapshot or prefix."""
    for name in (model, _SNAPSHOT.sub("", model)):
        for known in models:
            if known == name or known.removeprefix("@cf/") == name or known.endswith(f"/{name}"):
                return known
    return model


def adjustments(
    invoice_id: str,
    provider: Provider,
    days: Sequence[ModelDay],
    sums: Mapping[tuple[date, str], LedgerSum],
    assumed: Sequence[AssumedEntry],
) -> Sequence[LedgerEntry]:
    """Return the entries that close every difference; their ids are the invoice's and a number."""
    found: list[LedgerEntry] = []
    for one in days:
        disputed = [
            a
            for a in assumed
            if (a.entry.occurred_at.astimezone(UTC).date(), a.entry.model) == (one.day, one.model)
        ]
        corrections = _corrections(one.difference_usd, disputed)
        found += corrections
        rest = one.difference_usd - sum((c.cost_usd for c in corrections), ZERO_USD)
        if rest:
            found.append(_unexplained(invoice_id, provider, one, sums, rest))
    return [
        replace(entry, id=AttemptId(f"{correction_prefix(invoice_id)}{number:06}"))
        for number, entry in enumerate(found, start=1)
    ]


def correction_prefix(invoice_id: str) -> str:
    """Return what the ids of an invoice's corrections begin with."""
    return f"cor_{invoice_id.partition('_')[2]}_"


def _corrections(difference_usd: Decimal, assumed: Sequence[AssumedEntry]) -> Sequence[LedgerEntry]:
    left = sum((one.left_usd for one in assumed), ZERO_USD)
    if difference_usd >= 0 or left <= 0:
        return []
    wanted = max(difference_usd, -left)
    shares = [(wanted * one.left_usd / left).quantize(_EXACT) for one in assumed]
    shares[-1] = wanted - sum(shares[:-1], ZERO_USD)
    return [
        _correction(one.entry, share) for one, share in zip(assumed, shares, strict=True) if share
    ]


def _correction(entry: LedgerEntry, cost_usd: Decimal) -> LedgerEntry:
    return replace(
        entry,
        usage=NO_USAGE,
        neurons=ZERO_USD,
        list_cost_usd=cost_usd,
        cost_usd=cost_usd,
        hold_usd=ZERO_USD,
        is_error=False,
        assumed=False,
        latency_ms=0,
        corrects=entry.id,
    )


def _unexplained(
    invoice_id: str,
    provider: Provider,
    one: ModelDay,
    sums: Mapping[tuple[date, str], LedgerSum],
    cost_usd: Decimal,
) -> LedgerEntry:
    ledger = sums.get((one.day, one.model), LedgerSum(ZERO_USD, Tier.PAID, Operation.CHAT))
    return LedgerEntry(
        id=AttemptId(""),
        job_id=JobId(invoice_id),
        user_id=UserId(NOBODY),
        key_id=KeyId(NOBODY),
        tier=ledger.tier,
        operation=ledger.operation,
        provider=provider,
        model=one.model,
        model_answered=None,
        price_id=f"invoice:{invoice_id}",
        usage=NO_USAGE,
        neurons=ZERO_USD,
        list_cost_usd=cost_usd,
        cost_usd=cost_usd,
        hold_usd=ZERO_USD,
        is_fallback=False,
        is_error=False,
        assumed=False,
        latency_ms=0,
        occurred_at=datetime.combine(one.day, _NOON),
        corrects=f"invoice:{one.day}:{provider}/{one.model}",
    )
