from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from shared.domain.catalog import CLOUDFLARE, OPENAI, Provider
from shared.domain.errors import PriceBookError, UnknownPriceError
from shared.domain.pricing import ModelKind, charge
from shared.domain.usage import TokenUsage
from shared.providers.price_files import load_price_book

PRICES = Path(__file__).parents[4] / "prices"
HEADER = (
    "provider,model,kind,input_usd_per_million,output_usd_per_million,neurons_per_million_input,"
    "neurons_per_million_output,context_tokens,dimensions,effective_from,retired_on,source,as_of\n"
)
LINE = "openai,luna,chat,0.1,0.5,,,1000,,2026-01-01,,a page,2026-11-22\n"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def with_column(name: str, cell: str) -> str:
    return HEADER.replace("\n", f",{name}\n") + LINE.replace("\n", f",{cell}\n")


def later(day: str) -> str:
    return LINE.replace("2026-01-01", day)


def book_file(directory: Path, content: str) -> Path:
    (directory / "openai.csv").write_text(content, encoding="utf-8")
    return directory


def test_a_line_becomes_a_row(tmp_path: Path) -> None:
    row = load_price_book(book_file(tmp_path, HEADER + LINE)).rows[0]

    assert row.id == "openai/luna@2026-01-01"
    assert row.kind is ModelKind.CHAT
    assert row.input_usd_per_million == Decimal("0.1")
    assert row.neurons_per_million_input is None
    assert row.context_tokens == 1000


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (HEADER + LINE.replace("0.1", "cheap"), r"openai\.csv:2: input_usd_per_million"),
        (
            HEADER + LINE.replace("0.1", "-1"),
            r"openai\.csv:2: input_usd_per_million: .*greater than or equal to 0",
        ),
        (HEADER + LINE.replace("0.1", "NaN"), r"openai\.csv:2: input_usd_per_million"),
        (HEADER + LINE.replace("openai,", "Acme,"), r"openai\.csv:2: provider"),
        (HEADER + LINE.replace("2026-01-01", "soon"), r"openai\.csv:2: effective_from"),
        (HEADER + LINE + "openai,other,chat\n", r"openai\.csv:3: has fewer cells"),
        (HEADER + LINE.replace("\n", ",extra\n"), r"openai\.csv:2: .*beyond the header"),
        (HEADER + LINE.replace("a page", ""), r"openai\.csv:2: source"),
        (HEADER + LINE.replace("1000", "0"), r"openai\.csv:2: context_tokens"),
        (HEADER + LINE.replace("0.1,0.5", "0.1,"), r"openai\.csv:2\): one USD rate is missing"),
        (HEADER + LINE.replace("a page", '"a page'), r"openai\.csv:2: unexpected end of data"),
        (HEADER.replace("source", "origin") + LINE, r"openai\.csv:1: unknown column 'origin'"),
        (
            HEADER.replace(",as_of", ",source") + LINE,
            r"openai\.csv:1: column 'source' stands twice",
        ),
        (HEADER.replace(",as_of", "") + LINE, r"openai\.csv:1: column 'as_of' is missing"),
        (HEADER.replace("_usd_", "_eur_") + LINE, r"openai\.csv:1: .*eur.* unknown currency"),
        (with_column("currency", "EUR"), r"openai\.csv:2: currency: .*'USD'"),
        (with_column("batch_factor", "-1"), r"openai\.csv:2: batch_factor"),
        (
            HEADER + LINE + LINE,
            r"openai\.csv:3\) stands twice, also as .*openai\.csv:2\): .*overlap",
        ),
        (
            HEADER + LINE.replace(",,a page", ",2026-06-01,a page") + later("2026-07-01"),
            r"openai\.csv:3\) leaves a gap after .*openai\.csv:2\), which ends on 2026-06-01",
        ),
        (
            HEADER + LINE + later("2026-07-01").replace("0.1,0.5", ","),
            r"openai\.csv:3\) is blank, which leaves a gap after .*openai\.csv:2\)",
        ),
        ("", r"openai\.csv is empty"),
    ],
)
def test_a_fault_is_named_by_its_place(tmp_path: Path, content: str, fault: str) -> None:
    with pytest.raises(PriceBookError, match=fault):
        load_price_book(book_file(tmp_path, content))


def test_a_directory_without_price_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PriceBookError, match="SLUICEWAY_PRICES"):
        load_price_book(tmp_path)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.csv").write_bytes(b"\xff\xfe\xff")

    with pytest.raises(PriceBookError, match=r"broken\.csv cannot be read"):
        load_price_book(tmp_path)


def test_the_shipped_prices_are_sound_and_dated() -> None:
    book = load_price_book(PRICES)
    in_june = datetime(2026, 6, 1, tzinfo=UTC)

    def rate(at: datetime) -> Decimal | None:
        return book.price_at(OPENAI, "gpt-5.6-luna", at).input_usd_per_million

    assert len(book.rows) == 76
    assert rate(in_june) == Decimal(1)
    assert rate(NOON) == Decimal("0.2")


def test_a_shipped_chat_costs_what_cloudflare_logs_for_it() -> None:
    row = load_price_book(PRICES).price_at(CLOUDFLARE, "@cf/meta/llama-3.1-8b-instruct-fast", NOON)

    assert charge(row, TokenUsage(500, 300)).cost_usd == Decimal("0.0001377189")


def test_a_shipped_model_without_a_published_price_is_refused() -> None:
    with pytest.raises(UnknownPriceError, match="embeddinggemma"):
        load_price_book(PRICES).price_at(CLOUDFLARE, "@cf/google/embeddinggemma-300m", NOON)


def test_rows_may_follow_each_other_without_a_gap_and_across_files(tmp_path: Path) -> None:
    book_file(tmp_path, HEADER + LINE.replace(",,a page", ",2026-06-01,a page"))
    (tmp_path / "more.csv").write_text(HEADER + later("2026-06-01"), encoding="utf-8")

    book = load_price_book(tmp_path)

    assert book.price_at(OPENAI, "luna", NOON).id == "openai/luna@2026-06-01"


def test_dollars_may_be_named(tmp_path: Path) -> None:
    assert load_price_book(book_file(tmp_path, with_column("currency", "USD"))).rows


ALLOWANCE_HEADER = "provider,unit,amount,per,share,effective_from,source,as_of\n"
ALLOWANCE = "cloudflare,neurons,10000,day,0.5,,a page,2026-08-28\n"


def allowances_file(directory: Path, content: str) -> Path:
    (directory / "allowances.csv").write_text(content, encoding="utf-8")
    return book_file(directory, HEADER + LINE)


def test_an_allowance_is_read_with_the_share_that_is_claimed(tmp_path: Path) -> None:
    (allowance,) = load_price_book(
        allowances_file(tmp_path, ALLOWANCE_HEADER + ALLOWANCE)
    ).allowances

    assert allowance.claimed is not None
    assert allowance.claimed.units == Decimal(5000)
    assert allowance.claimed.name == "cloudflare/neurons"


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (ALLOWANCE.replace("0.5", "1.1"), r"allowances\.csv:2: share"),
        (ALLOWANCE.replace("10000", "-1"), r"allowances\.csv:2: amount"),
        (ALLOWANCE.replace("neurons", "tokens"), r"allowances\.csv:2: unit"),
        (ALLOWANCE.replace("day", "month"), r"allowances\.csv:2: per"),
        (ALLOWANCE + ALLOWANCE, r"allowances\.csv:3\) stands twice"),
    ],
)
def test_a_faulty_allowance_is_named_by_its_place(tmp_path: Path, line: str, fault: str) -> None:
    with pytest.raises(PriceBookError, match=fault):
        load_price_book(allowances_file(tmp_path, ALLOWANCE_HEADER + line))


def test_nothing_of_the_shipped_allowance_is_counted_on() -> None:
    book = load_price_book(PRICES)
    row = book.price_at(CLOUDFLARE, "@cf/meta/llama-3.1-8b-instruct-fast", NOON)

    assert [allowance.amount for allowance in book.allowances] == [Decimal(10000)]
    assert row.allowance is None


def test_shipped_caches_tiers_and_batches_cost_what_the_providers_say() -> None:
    book = load_price_book(PRICES)

    def cost(provider: Provider, model: str, usage: TokenUsage) -> Decimal:
        return charge(book.price_at(provider, model, NOON), usage).cost_usd

    read = TokenUsage(1_000_000, 0, cached_tokens=1_000_000)
    short = TokenUsage(1_000, 1_000)
    terra, sol = "gpt-6.1-terra", "gpt-6.1-sol"
    assert cost(CLOUDFLARE, "@cf/zai-org/glm-5.2", read) == Decimal("0.259996")
    assert cost(OPENAI, "gpt-5.4-mini", read) == Decimal("0.075")
    written = TokenUsage(1_000, 0, cache_write_tokens=1_000)
    assert cost(OPENAI, sol, written) == Decimal("0.0025")
    assert cost(OPENAI, terra, short) == Decimal("0.006")
    for tier, expected in (("flex", "0.003"), ("priority", "0.012"), ("batch", "0.003")):
        in_tier = TokenUsage(1_000, 1_000, service_tier=tier)
        assert cost(OPENAI, terra, in_tier) == Decimal(expected)
