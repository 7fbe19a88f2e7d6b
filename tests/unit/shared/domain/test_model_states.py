from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

import pytest

from shared.domain.catalog import OPENAI, Operation, Tier
from shared.domain.model_states import (
    ListedModel,
    ListOutcome,
    ListRead,
    ListUnread,
    ModelState,
    ModelStatus,
    check_models,
    routed_models,
    successor_of,
)
from shared.domain.pricing import ModelKind, PriceBook, PriceRow
from shared.domain.routes import Candidate, Route
from shared.domain.routing import RoutingTable

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TODAY = NOON.date()
YESTERDAY = NOON - timedelta(days=1)
LUNA = Candidate(OPENAI, "luna")
FAST_LUNA = Candidate(OPENAI, "luna", {"service_tier": "fast"})
SOL = Candidate(OPENAI, "sol")
UNREAD = ListUnread("away")


def table(*candidates: Candidate, successor: Candidate | None = None) -> RoutingTable:
    route = Route(inside_rollout=candidates, outside_rollout=candidates)
    successors = {} if successor is None else {candidates[0]: successor}
    return RoutingTable(
        {(tier, operation): route for tier in Tier for operation in Operation},
        successors=MappingProxyType(successors),
    )


def book(retired_on: date | None = None) -> PriceBook:
    row = PriceRow(
        provider=OPENAI,
        model="luna",
        kind=ModelKind.CHAT,
        input_usd_per_million=Decimal(1),
        output_usd_per_million=Decimal(1),
        retired_on=retired_on,
    )
    return PriceBook([row])


def listed(ends: date | None = None) -> ListOutcome:
    return ListRead([ListedModel("sol"), ListedModel("luna", ends)])


def known(state: ModelState, ends: date | None = None) -> ModelStatus:
    return ModelStatus(OPENAI, "luna", state, ends, YESTERDAY)


def status(
    outcome: ListOutcome, before: ModelStatus | None = None, priced_end: date | None = None
) -> ModelStatus:
    statuses = [] if before is None else [before]
    (found,) = check_models(table(LUNA), book(priced_end), {OPENAI: outcome}, statuses, NOON)
    return found


def after(days: int) -> date:
    return TODAY + timedelta(days=days)


@pytest.mark.parametrize(
    ("ends", "state"),
    [
        (None, ModelState.LISTED),
        (after(31), ModelState.LISTED),
        (after(30), ModelState.RETIRING),
        (after(1), ModelState.RETIRING),
        (after(0), ModelState.RETIRED),
        (after(-1), ModelState.RETIRED),
    ],
)
def test_a_listed_model_is_judged_by_its_end(ends: date | None, state: ModelState) -> None:
    assert status(listed(ends)) == ModelStatus(OPENAI, "luna", state, ends, NOON)


@pytest.mark.parametrize(
    ("listed_end", "priced_end", "end"),
    [
        (after(20), after(9), after(9)),
        (after(9), after(20), after(9)),
        (None, after(9), after(9)),
        (after(9), None, after(9)),
    ],
)
def test_the_earlier_end_counts(
    listed_end: date | None, priced_end: date | None, end: date
) -> None:
    assert status(listed(listed_end), priced_end=priced_end).retires_on == end


def test_a_price_that_ended_says_retired_whatever_the_list_says() -> None:
    assert status(listed(), priced_end=after(0)).state is ModelState.RETIRED


def test_a_model_that_the_list_does_not_name_is_missing() -> None:
    assert status(ListRead([ListedModel("sol")])).state is ModelState.MISSING


def test_a_model_that_left_the_list_on_its_day_is_retired() -> None:
    found = status(ListRead([ListedModel("sol")]), known(ModelState.RETIRING, after(0)))
    assert (found.state, found.retires_on) == (ModelState.RETIRED, after(0))


def test_a_model_that_left_the_list_before_its_day_is_missing() -> None:
    found = status(ListRead([ListedModel("sol")]), known(ModelState.RETIRING, after(3)))
    assert (found.state, found.retires_on) == (ModelState.MISSING, after(3))


def test_an_end_that_was_put_off_counts_as_it_is_now() -> None:
    found = status(listed(after(90)), known(ModelState.RETIRING, after(3)))
    assert (found.state, found.retires_on) == (ModelState.LISTED, after(90))


@pytest.mark.parametrize("state", [ModelState.LISTED, ModelState.MISSING])
def test_an_unread_list_changes_nothing(state: ModelState) -> None:
    before = known(state)
    assert status(UNREAD, before) == before


def test_the_calendar_goes_on_while_a_list_is_unread() -> None:
    assert status(UNREAD, known(ModelState.LISTED, after(30))).state is ModelState.RETIRING
    assert status(UNREAD, known(ModelState.RETIRING, after(0))).state is ModelState.RETIRED


def test_a_list_that_was_never_read_leaves_models_unknown() -> None:
    found = status(UNREAD)
    assert (found.state, found.checked_at) == (ModelState.UNKNOWN, None)
    assert status(UNREAD, found) == found
    assert status(UNREAD, priced_end=after(5)).state is ModelState.RETIRING


def test_a_model_without_a_price_is_checked_by_its_list_alone() -> None:
    (sol,) = check_models(table(SOL), book(), {OPENAI: listed()}, [], NOON)
    assert sol.state is ModelState.LISTED


def test_a_model_is_one_whatever_options_it_is_called_with() -> None:
    route = Route(inside_rollout=(LUNA, SOL), outside_rollout=(LUNA,))
    fast = Route(inside_rollout=(FAST_LUNA,), outside_rollout=(FAST_LUNA,))
    routes = {
        (tier, operation): fast if tier is Tier.PREMIUM else route
        for tier in Tier
        for operation in Operation
    }
    assert routed_models(RoutingTable(routes)) == ((OPENAI, "luna"), (OPENAI, "sol"))


def test_a_successor_is_found_and_checked_too() -> None:
    with_successor = table(FAST_LUNA, successor=SOL)
    assert successor_of(with_successor, (OPENAI, "luna")) == SOL
    assert successor_of(with_successor, (OPENAI, "sol")) is None
    assert (OPENAI, "sol") in routed_models(with_successor)


@pytest.mark.parametrize(
    ("state", "ends", "days"),
    [
        (ModelState.LISTED, None, None),
        (ModelState.LISTED, after(90), 90),
        (ModelState.RETIRING, after(1), 1),
        (ModelState.RETIRED, after(-9), 0),
        (ModelState.MISSING, after(9), 0),
        (ModelState.UNKNOWN, after(-1), 0),
    ],
)
def test_days_are_left_until_the_end(
    state: ModelState, ends: date | None, days: int | None
) -> None:
    assert known(state, ends).days_left(TODAY) == days
