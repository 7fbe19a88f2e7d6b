from decimal import Decimal
from pathlib import Path

from services.embedding_worker.main import RoutedByTable
from shared.domain.catalog import Tier
from shared.domain.embedding_space import BGE_M3, TEXT_EMBEDDING_3_SMALL
from shared.domain.ids import JobId, KeyId, UserId
from shared.domain.jobs import JobKind
from shared.messages.commands import EmbedTexts
from shared.providers.price_files import load_price_book
from shared.providers.routing_file import load_routing_table
from tests.support.fakes_of_time import StillClock

_ROOT = Path(__file__).parents[4]


def _route(percent: int = 100) -> RoutedByTable:
    table = load_routing_table(_ROOT / "deploy" / "routing.toml")
    return RoutedByTable(
        table, load_price_book(_ROOT / "prices"), lambda: Decimal(percent), StillClock()
    )


def _command(kind: JobKind, model: str) -> EmbedTexts:
    return EmbedTexts(
        message_id="start",
        correlation_id="job",
        occurred_at=StillClock().now(),
        job_id=JobId("job"),
        user_id=UserId("user"),
        key_id=KeyId("key"),
        tier=Tier.FREE,
        job_kind=kind,
        model=model,
    )


def _models(route: RoutedByTable, command: EmbedTexts) -> list[str]:
    return [candidate.model for candidate in route.candidates(command).candidates]


def test_auto_follows_the_rollout() -> None:
    both = [BGE_M3.model, TEXT_EMBEDDING_3_SMALL.model]
    assert _models(_route(100), _command(JobKind.EMBED, "auto")) == both
    assert _models(_route(0), _command(JobKind.EMBED, "auto")) == both[::-1]


def test_the_arm_goes_with_the_route() -> None:
    arms = [_route(percent).candidates(_command(JobKind.EMBED, "auto")).arm for percent in (100, 0)]
    assert arms == ["cloudflare:inside", "cloudflare:outside"]


def test_a_model_that_is_asked_for_has_no_fallback() -> None:
    assert _models(_route(), _command(JobKind.EMBED, "bge-m3")) == [BGE_M3.model]


def test_an_ingestion_gets_every_candidate_of_its_route() -> None:
    assert len(_models(_route(), _command(JobKind.INGEST, BGE_M3.model))) == 2


def test_every_candidate_has_a_price() -> None:
    route = _route()
    for candidate in route.candidates(_command(JobKind.EMBED, "auto")).candidates:
        assert route.price(candidate).is_known
