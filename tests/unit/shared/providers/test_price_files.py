from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from shared.domain.catalog import Provider
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
        (HEADER + LINE.replace("0.1", "-1"), r"openai\.csv:2: .*negative"),
        (HEADER + LINE.replace("0.1", "NaN"), r"openai\.csv:2: input_usd_per_million"),
        (HEADER + LINE.replace("openai,", "acme,"), r"openai\.csv:2: provider"),
        (HEADER + LINE.replace("2026-01-01", "soon"), r"openai\.csv:2: effective_from"),
        (HEADER + LINE + "openai,other,chat\n", r"openai\.csv:3: has fewer cells"),
        (HEADER + LINE.replace("\n", ",extra\n"), r"openai\.csv:2: .*beyond the header"),
        (HEADER.replace("source", "origin") + LINE, r"openai\.csv:2: source: Field required"),
        (HEADER + LINE + LINE, "openai/luna@2026-01-01 stands twice"),
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
        return book.price_at(Provider.OPENAI, "gpt-5.6-luna", at).input_usd_per_million

    assert len(book.rows) == 71
    assert rate(in_june) == Decimal(1)
    assert rate(NOON) == Decimal("0.2")


def test_a_shipped_chat_costs_what_cloudflare_logs_for_it() -> None:
    row = load_price_book(PRICES).price_at(
        Provider.CLOUDFLARE, "@cf/meta/llama-3.1-8b-instruct-fast", NOON
    )

    assert charge(row, TokenUsage(500, 300)).cost_usd == Decimal("0.0001377189")


def test_a_shipped_model_without_a_published_price_is_refused() -> None:
    with pytest.raises(UnknownPriceError, match="embeddinggemma"):
        load_price_book(PRICES).price_at(
            Provider.CLOUDFLARE, "@cf/google/embeddinggemma-300m", NOON
        )
