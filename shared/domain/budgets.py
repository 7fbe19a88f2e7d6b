"""Budgets: how much may be spent, and what happens on the way there.

Invariant: what a budget wants is a function of the budget and the amount spent alone, so that
closing, reopening and raising a limit are one and the same computation.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Self

from shared.domain.catalog import PROVIDER_NAME, Provider, Tier
from shared.domain.gates import CHAT_PREMIUM, EMBED_BULK, WORK_QUEUES, GateState
from shared.domain.ids import KeyId, QueueName, UserId
from shared.domain.money import ZERO_USD, decimal_string


class ScopeKind(StrEnum):
    """Whose spending a budget counts."""

    GLOBAL = "global"
    TIER = "tier"
    USER = "user"
    KEY = "key"
    PROVIDER = "provider"
    HEDGE = "hedge"
    """A tier's second requests; its only budget is the cap of the tier's route."""


_CLOSED_VALUES: Mapping[ScopeKind, Collection[str]] = {
    ScopeKind.TIER: tuple(Tier),
    ScopeKind.HEDGE: tuple(Tier),
}


@dataclass(frozen=True, slots=True)
class BudgetScope:
    """Whose spending is counted; written `global`, `tier:free`, `user:U`, `key:K`, `provider:P`.

    Nobody sets a budget of `hedge:TIER`: its limit is the routing table's.

    Attributes:
        kind: Which attribute of a call decides.
        value: That attribute's value; empty for `global`.

    Raises:
        ValueError: The value is missing, superfluous, no tier, or no provider's name.
    """

    kind: ScopeKind
    value: str = ""

    def __post_init__(self) -> None:
        if (self.kind is ScopeKind.GLOBAL) is bool(self.value):
            raise ValueError(f"budget scope {str(self)!r}: {_SCOPE_FORM}")
        allowed = _CLOSED_VALUES.get(self.kind)
        if allowed is not None and self.value not in allowed:
            raise ValueError(
                f"budget scope {str(self)!r}: {self.kind} is one of {', '.join(allowed)}"
            )
        if self.kind is ScopeKind.PROVIDER and not PROVIDER_NAME.fullmatch(self.value):
            raise ValueError(f"budget scope {str(self)!r}: this cannot be a provider's name")

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}" if self.value else str(self.kind)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form; `parse(str(scope)) == scope`.

        Raises:
            ValueError: `text` is no scope; the message shows the forms.
        """
        kind, _, value = text.partition(":")
        if kind not in tuple(ScopeKind) or text.endswith(":"):
            raise ValueError(f"budget scope {text!r}: {_SCOPE_FORM}")
        return cls(ScopeKind(kind), value)


_SCOPE_FORM = "write global, tier:TIER, user:USER, key:KEY or provider:PROVIDER"
GLOBAL_SCOPE = BudgetScope(ScopeKind.GLOBAL)


def scopes_of(
    tier: Tier, user_id: UserId, key_id: KeyId, provider: Provider
) -> tuple[BudgetScope, ...]:
    """Return every scope that one call's cost counts towards."""
    return (
        GLOBAL_SCOPE,
        BudgetScope(ScopeKind.TIER, tier),
        BudgetScope(ScopeKind.USER, user_id),
        BudgetScope(ScopeKind.KEY, key_id),
        BudgetScope(ScopeKind.PROVIDER, provider),
    )


def hedge_scope(tier: Tier) -> BudgetScope:
    """Return the scope that a tier's second requests count towards, beside all others."""
    return BudgetScope(ScopeKind.HEDGE, tier)


class Window(StrEnum):
    """How long spending adds up before it starts again from zero, in UTC."""

    DAY = "day"
    MONTH = "month"

    def start(self, at: datetime) -> datetime:
        """Return the first moment of the window that holds `at`."""
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight if self is Window.DAY else midnight.replace(day=1)

    def end(self, at: datetime) -> datetime:
        """Return the first moment after the window that holds `at`."""
        start = self.start(at)
        if self is Window.DAY:
            return start + timedelta(days=1)
        return (start + timedelta(days=32)).replace(day=1)


class ThresholdAction(StrEnum):
    """What crossing a threshold does, from mild to strict; each of them also alerts."""

    ALERT = "alert"
    DIVERT = "divert"
    """Take the cheaper route."""
    SLOW = "slow"
    PAUSE = "pause"
    CLOSE = "close"


_ACTIONS = tuple(ThresholdAction)
_GATE_STATES = tuple(GateState)
_STATE_BY_ACTION: Mapping[ThresholdAction, GateState] = {
    ThresholdAction.ALERT: GateState.RUNNING,
    ThresholdAction.DIVERT: GateState.RUNNING,
    ThresholdAction.SLOW: GateState.SLOWED,
    ThresholdAction.PAUSE: GateState.PAUSED,
    ThresholdAction.CLOSE: GateState.CLOSED,
}


@dataclass(frozen=True, slots=True)
class Threshold:
    """An amount and what happens once a window's spending reaches it.

    Attributes:
        at_usd: US dollars, ≥ 0.
        action: What happens.
        queues: The queues it happens to; `alert` touches none of them.
        concurrency: With `slow`, how many calls may run at a time, ≥ 1.

    Raises:
        ValueError: The amount is negative, the concurrency is not positive or a queue has no gate.
    """

    at_usd: Decimal
    action: ThresholdAction
    queues: tuple[QueueName, ...] = WORK_QUEUES
    concurrency: int = 1

    def __post_init__(self) -> None:
        if self.concurrency < 1:
            raise ValueError(f"threshold {self.key}: give a concurrency of 1 or more")
        if not (self.at_usd.is_finite() and self.at_usd >= ZERO_USD):
            raise ValueError(f"threshold at {self.at_usd} USD: give an amount of 0 or more")
        unknown = [queue for queue in self.queues if queue not in WORK_QUEUES]
        if unknown:
            raise ValueError(
                f"threshold {self.key}: no gate for {', '.join(unknown)}; "
                f"queues are {', '.join(WORK_QUEUES)}"
            )

    @property
    def key(self) -> str:
        """Return what names it within its budget (`300:pause`), to fire once per window by."""
        return f"{decimal_string(self.at_usd)}:{self.action}"


@dataclass(frozen=True, slots=True)
class Budget:
    """What one scope may spend in one window.

    Attributes:
        scope: Whose spending counts.
        window: Over what time.
        limit_usd: Hard limit that spending and holds never exceed; None for none.
        thresholds: What happens on the way.

    Raises:
        ValueError: The limit is negative, or two thresholds share amount and action.
    """

    scope: BudgetScope
    window: Window
    limit_usd: Decimal | None = None
    thresholds: tuple[Threshold, ...] = ()

    def __post_init__(self) -> None:
        if self.limit_usd is not None and not (
            self.limit_usd.is_finite() and self.limit_usd >= ZERO_USD
        ):
            raise ValueError(f"budget {self.scope}: give a limit of 0 USD or more")
        if len({threshold.key for threshold in self.thresholds}) < len(self.thresholds):
            raise ValueError(
                f"budget {self.scope}: two thresholds share amount and action; join their queues"
            )


DEFAULT_GLOBAL_BUDGET = Budget(
    GLOBAL_SCOPE,
    Window.DAY,
    thresholds=(
        Threshold(Decimal(100), ThresholdAction.ALERT),
        Threshold(Decimal(300), ThresholdAction.PAUSE, (EMBED_BULK,)),
        Threshold(
            Decimal(500),
            ThresholdAction.PAUSE,
            tuple(queue for queue in WORK_QUEUES if queue != CHAT_PREMIUM),
        ),
    ),
)
"""In force until someone replaces it."""


def crossed(
    budget: Budget, spent_usd: Decimal, already_fired: Collection[str]
) -> tuple[Threshold, ...]:
    """Return the thresholds that spending has reached and that have not fired in this window.

    Spending before is not asked for: a threshold put below what is spent already fires as well.

    Args:
        budget: The budget as it stands.
        spent_usd: What its scope has spent in the window.
        already_fired: Keys of the thresholds that have fired in the window.

    Returns:
        The lowest amount first, at one amount the mildest action first.
    """
    fired = [t for t in _reached(budget, spent_usd) if t.key not in already_fired]
    return tuple(sorted(fired, key=lambda t: (t.at_usd, _ACTIONS.index(t.action))))


def gates_wanted(budget: Budget, spent_usd: Decimal) -> dict[QueueName, GateState]:
    """Return the state a budget wants each queue in; with several thresholds the strictest.

    Every queue is named, `running` where the budget asks for nothing: the same answer closes
    gates on the way up and opens them after the window's end or a raised threshold.
    """
    return strictest_gates(
        dict.fromkeys(threshold.queues, _STATE_BY_ACTION[threshold.action])
        for threshold in _reached(budget, spent_usd)
    )


def strictest_gates(
    wanted: Iterable[Mapping[QueueName, GateState]],
) -> dict[QueueName, GateState]:
    """Join what several thresholds or budgets want into one state for every queue."""
    gates = dict.fromkeys(WORK_QUEUES, GateState.RUNNING)
    for states in wanted:
        for queue, state in states.items():
            gates[queue] = max(gates[queue], state, key=_GATE_STATES.index)
    return gates


def diverted_queues(budget: Budget, spent_usd: Decimal) -> frozenset[QueueName]:
    """Return the queues whose work should take the cheaper route."""
    return frozenset(
        queue
        for threshold in _reached(budget, spent_usd)
        if threshold.action is ThresholdAction.DIVERT
        for queue in threshold.queues
    )


def _reached(budget: Budget, spent_usd: Decimal) -> tuple[Threshold, ...]:
    return tuple(t for t in budget.thresholds if spent_usd >= t.at_usd)
