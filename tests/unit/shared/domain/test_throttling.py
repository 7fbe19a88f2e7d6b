from datetime import UTC, datetime
from decimal import Decimal

from shared.domain.budgets import GLOBAL_SCOPE, Budget, Threshold, ThresholdAction, Window
from shared.domain.gates import CHAT_FREE, CHAT_PAID, WORK_QUEUES, GateState
from shared.domain.ids import QueueName
from shared.domain.throttling import GateWish, Spending, gate_wishes

_NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
_DAY_ENDS, _MONTH_ENDS = Window.DAY.end(_NOW), Window.MONTH.end(_NOW)


def _spending(window: Window, *thresholds: Threshold, spent: int = 10) -> Spending:
    return Spending(Budget(GLOBAL_SCOPE, window, None, thresholds), Decimal(spent))


def _at(usd: int, action: ThresholdAction, concurrency: int = 1) -> Threshold:
    return Threshold(Decimal(usd), action, (CHAT_FREE,), concurrency)


def _wish(*spendings: Spending, queue: QueueName = CHAT_FREE) -> GateWish:
    return next(one for one in gate_wishes(spendings, _NOW) if one.queue == queue)


def test_without_a_budget_every_queue_may_run() -> None:
    assert gate_wishes([], _NOW) == [
        GateWish(queue, GateState.RUNNING) for queue in sorted(WORK_QUEUES)
    ]


def test_the_stricter_window_wins_as_long_as_it_lasts() -> None:
    wish = _wish(
        _spending(Window.DAY, _at(5, ThresholdAction.CLOSE)),
        _spending(Window.MONTH, _at(5, ThresholdAction.PAUSE)),
    )
    assert (wish.desired, wish.until) == (GateState.CLOSED, _DAY_ENDS)
    assert wish.reason == "day budget global"


def test_what_both_windows_want_lasts_as_the_longer_one() -> None:
    wish = _wish(
        _spending(Window.DAY, _at(5, ThresholdAction.PAUSE)),
        _spending(Window.MONTH, _at(5, ThresholdAction.PAUSE)),
    )
    assert (wish.until, wish.reason) == (_MONTH_ENDS, "month budget global")


def test_the_least_concurrency_of_those_reached_holds() -> None:
    wish = _wish(
        _spending(
            Window.DAY,
            _at(1, ThresholdAction.SLOW, 9),
            _at(2, ThresholdAction.SLOW, 4),
            _at(11, ThresholdAction.SLOW, 1),
        )
    )
    assert (wish.desired, wish.concurrency) == (GateState.SLOWED, 4)


def test_diverting_has_an_end_of_its_own() -> None:
    wish = _wish(
        _spending(Window.DAY, _at(5, ThresholdAction.PAUSE)),
        _spending(Window.MONTH, _at(5, ThresholdAction.DIVERT)),
    )
    assert (wish.until, wish.diverts_until) == (_DAY_ENDS, _MONTH_ENDS)


def test_other_queues_are_left_alone() -> None:
    spending = _spending(Window.DAY, _at(5, ThresholdAction.CLOSE), _at(6, ThresholdAction.DIVERT))
    assert _wish(spending, queue=CHAT_PAID) == GateWish(CHAT_PAID, GateState.RUNNING)
