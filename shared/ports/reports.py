"""What can be read from the ledger and its sums, and the proof that they are right."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal, Protocol

from shared.domain.catalog import Operation, Tier
from shared.domain.ids import AttemptId, JobId, UserId
from shared.domain.ledger import LedgerEntry
from shared.domain.money import ZERO_USD

Occasion = Literal["nightly", "on_demand"]


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One group's sums; `keys` names the group (`{"provider": "openai"}`).

    Attributes:
        requests: Attempts; corrections count in the sums of money alone.
        openai_only_usd: What the same tokens would have cost with OpenAI alone.
    """

    keys: Mapping[str, str]
    requests: int
    input_tokens: int
    output_tokens: int
    neurons: Decimal
    cost_usd: Decimal
    fallbacks: int
    errors: int
    p50_ms: int | None
    p95_ms: int | None
    p99_ms: int | None
    list_cost_usd: Decimal = ZERO_USD
    openai_only_usd: Decimal = ZERO_USD


NO_USAGE_ROW = UsageRow({}, 0, 0, 0, ZERO_USD, ZERO_USD, 0, 0, None, None, None)


@dataclass(frozen=True, slots=True)
class LedgerFilter:
    """Which entries are wanted; a day is one in UTC."""

    user_id: UserId | None = None
    job_id: JobId | None = None
    day: date | None = None


EVERYTHING = LedgerFilter()


class Reports(Protocol):
    """Reads for ops, from rollups or by an index; none grows with the ledger."""

    async def usage(
        self, group_by: Sequence[str], first: date | None, last: date | None
    ) -> Sequence[UsageRow]:
        """Return sums by the given keys (`user provider model operation tier key arm day`)."""
        ...

    async def usage_by_arm(
        self, routes: Sequence[tuple[Tier, Operation]], first: date, last: date
    ) -> Sequence[UsageRow]:
        """Return sums by day and arm over some routes alone, keys `day` and `arm`."""
        ...

    def usage_rows(
        self, group_by: Sequence[str], first: date | None, last: date | None
    ) -> AsyncIterator[UsageRow]:
        """Give the same row by row, in constant memory."""
        ...

    async def ledger_page(
        self, after: AttemptId | None, limit: int, wanted: LedgerFilter = EVERYTHING
    ) -> Sequence[LedgerEntry]:
        """Return entries with ids greater than `after`, in order of id."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """Whether attempts and ledger agree; all zero when all is well.

    Attributes:
        attempts_without_ledger: Settled attempts that are not booked.
        ledger_without_attempt: Entries whose attempt nobody knows.
        duplicate_entries: Entries that were summed up more often than their attempt happened.
        open_holds: Calls under way.
        expired_holds: Calls whose lease has ended and that nobody has charged yet.
        holds_without_attempts_usd: What budgets hold beyond what calls under way and settled but
            unbooked ones hold.
        assumed_count: Entries charged at their hold.
        assumed_cost_usd: Their sum.
        corrections_count: Entries that correct others.
        corrections_usd: Their sum; not part of the drift.
        in_flight_usd: The part of the drift that was settled in the last minutes, whose events are
            on their way.
        drift_usd: Settled attempts minus the ledger.
    """

    attempts_without_ledger: int = 0
    ledger_without_attempt: int = 0
    duplicate_entries: int = 0
    open_holds: int = 0
    expired_holds: int = 0
    holds_without_attempts_usd: Decimal = ZERO_USD
    assumed_count: int = 0
    assumed_cost_usd: Decimal = ZERO_USD
    corrections_count: int = 0
    corrections_usd: Decimal = ZERO_USD
    in_flight_usd: Decimal = ZERO_USD
    drift_usd: Decimal = ZERO_USD

    @property
    def unexplained_usd(self) -> Decimal:
        """Return the drift that no event on its way explains."""
        return self.drift_usd - self.in_flight_usd


@dataclass(frozen=True, slots=True)
class ReconciliationRun:
    """A reconciliation that was kept."""

    id: int
    occasion: Occasion
    ran_at: datetime
    found: Reconciliation


class ReconciliationRepository(Protocol):
    """Compares attempts with the ledger."""

    async def compare(self, *, full: bool = False) -> Reconciliation:
        """Compare now, in one snapshot.

        Args:
            full: Read everything anew instead of only what was not compared before.
        """
        ...

    async def keep(self, occasion: Occasion, found: Reconciliation, at: datetime) -> None:
        """Store what was found; of a night (UTC) only the first."""
        ...

    async def last_run(self, occasion: Occasion | None = None) -> ReconciliationRun | None:
        """Return the newest kept run."""
        ...


class ReconciliationUpkeep(Protocol):
    """What keeps comparing cheap, and the ledger ready for its next months."""

    async def close_compared(self, before: datetime) -> bool:
        """Move the watermark over attempts made before a moment; False if another does so now.

        Safe to repeat and to run anywhere.
        """
        ...

    async def make_months(self, now: datetime) -> Sequence[str]:
        """Make the ledger's partitions ahead; returns the names of new ones."""
        ...
