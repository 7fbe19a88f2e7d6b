from decimal import Decimal

from services.embedding_worker.policies.batches import batches_of, halves_of, hold_usd
from shared.domain.batching import BGE_M3_LIMITS, OPENAI_EMBEDDING_LIMITS
from shared.domain.catalog import OPENAI
from shared.domain.collections import PendingText
from shared.domain.pricing import ModelKind, PriceRow
from shared.domain.tokens import token_upper_bound

_PRICE = PriceRow(
    provider=OPENAI,
    model="model",
    kind=ModelKind.EMBEDDING,
    input_usd_per_million=Decimal(1_000_000),
    output_usd_per_million=Decimal(0),
)


def test_texts_share_a_call_up_to_the_models_limit() -> None:
    texts = [PendingText(position, "text", 1) for position in range(150)]
    assert [len(batch) for batch in batches_of(texts, BGE_M3_LIMITS)] == [100, 50]


def test_a_text_that_seems_too_long_is_left_to_the_provider() -> None:
    texts = [PendingText(0, "short", 1), PendingText(1, "long", 50_000)]
    assert [len(batch) for batch in batches_of(texts, BGE_M3_LIMITS)] == [2]
    many = [*texts, *(PendingText(n, "x", 8_000) for n in range(2, 9))]
    assert sum(len(batch) for batch in batches_of(many, BGE_M3_LIMITS)) == 9


def test_halves_keep_every_text_in_order() -> None:
    batch = tuple(PendingText(position, "text", 1) for position in range(5))
    first, second = halves_of(batch)
    assert (*first, *second) == batch
    assert (len(first), len(second)) == (2, 3)


def test_a_hold_covers_the_padding_of_a_model_that_pads() -> None:
    batch = (PendingText(0, "a" * 10, 4), PendingText(1, "a" * 100, 34))
    assert hold_usd(batch, BGE_M3_LIMITS, _PRICE) == 2 * token_upper_bound("a" * 100)


def test_a_hold_covers_the_prefix_of_the_space() -> None:
    batch = (PendingText(0, "a" * 10, 4), PendingText(1, "a" * 100, 34))
    held = hold_usd(batch, OPENAI_EMBEDDING_LIMITS, _PRICE, "passage: ")
    assert held == hold_usd(batch, OPENAI_EMBEDDING_LIMITS, _PRICE) + 2 * len("passage: ")


def test_a_hold_is_the_sum_of_the_texts_bounds_elsewhere() -> None:
    batch = (PendingText(0, "a" * 10, 4), PendingText(1, "a" * 100, 34))
    expected = token_upper_bound("a" * 10) + token_upper_bound("a" * 100)
    assert hold_usd(batch, OPENAI_EMBEDDING_LIMITS, _PRICE) == expected
