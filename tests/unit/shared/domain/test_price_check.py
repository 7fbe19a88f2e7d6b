from datetime import UTC, date, datetime
from decimal import Decimal

from structlog.testing import capture_logs

from shared.domain.catalog import OPENAI, Operation, Tier
from shared.domain.price_check import PriceCheck, check_routed_prices
from shared.domain.pricing import ModelKind, PriceBook, PriceRow
from shared.domain.routes import Candidate, Route
from shared.domain.routing import RoutingTable
from shared.observability.price_warnings import warn_about_prices

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MODELS = ("stays", "ends", "ended", "later", "unpriced", "fast")


def row(model: str, retired_on: date | None = None) -> PriceRow:
    return PriceRow(
        provider=OPENAI,
        model=model,
        kind=ModelKind.CHAT,
        input_usd_per_million=Decimal(1),
        output_usd_per_million=Decimal(1),
        retired_on=retired_on,
    )


def checked() -> PriceCheck:
    route = Route(
        inside_rollout=tuple(Candidate(OPENAI, model) for model in MODELS[:-1]),
        outside_rollout=(Candidate(OPENAI, "fast", {"service_tier": "fast"}),),
    )
    table = RoutingTable({(tier, operation): route for tier in Tier for operation in Operation})
    book = PriceBook(
        [
            row("stays"),
            row("ends", date(2026, 12, 22)),
            row("ended", date(2026, 11, 22)),
            row("later", date(2026, 12, 23)),
            row("unrouted", date(2026, 1, 1)),
            row("fast"),
        ]
    )
    return check_routed_prices(table, book, NOON)


def test_routed_models_are_told_apart_by_what_is_wrong_with_them() -> None:
    found = checked()

    assert [one.model for one in found.retired] == ["ended"]
    assert [one.model for one in found.retiring] == ["ends"]
    assert [one.candidate.model for one in found.unpriced] == ["unpriced", "fast"]
    assert "service_tier 'fast'" in found.unpriced[1].reason
    assert found.is_broken


def test_a_model_that_ends_soon_breaks_nothing_yet() -> None:
    assert not PriceCheck(NOON, (), (row("ends"),), ()).is_broken


def test_each_model_is_one_line_in_the_log() -> None:
    with capture_logs() as logs:
        warn_about_prices(checked())

    assert [(line["event"], line.get("price_id") or line["model"]) for line in logs] == [
        ("prices.model_retired", "openai/ended@base"),
        ("prices.model_retires_soon", "openai/ends@base"),
        ("prices.model_unpriced", "openai/unpriced"),
        ("prices.model_unpriced", "openai/fast"),
    ]
    assert {line["log_level"] for line in logs} == {"warning"}
