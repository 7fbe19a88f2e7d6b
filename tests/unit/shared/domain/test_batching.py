import pytest

from shared.domain.batching import (
    BGE_M3_LIMITS,
    OPENAI_EMBEDDING_LIMITS,
    PackingLimits,
    pack,
    split,
)
from shared.domain.errors import TextTooLongError


def test_nothing_packs_into_no_batch() -> None:
    assert pack([], BGE_M3_LIMITS) == ()


def test_bge_m3_takes_a_hundred_short_texts_a_call() -> None:
    assert [len(batch) for batch in pack([10] * 250, BGE_M3_LIMITS)] == [100, 100, 50]


def test_bge_m3_is_packed_by_count_times_longest_text() -> None:
    assert [len(batch) for batch in pack([6_000] * 21, BGE_M3_LIMITS)] == [10, 10, 1]


def test_a_long_text_does_not_drag_short_ones_into_its_padding() -> None:
    assert pack([8_000, *[10] * 50], BGE_M3_LIMITS) == (tuple(range(1, 51)), (0,))


def test_openai_is_packed_by_the_sum_of_tokens() -> None:
    assert [len(batch) for batch in pack([3_000] * 101, OPENAI_EMBEDDING_LIMITS)] == [100, 1]
    assert [len(batch) for batch in pack([1] * 2_049, OPENAI_EMBEDDING_LIMITS)] == [2_048, 1]


def test_a_text_that_is_too_long_is_named() -> None:
    with pytest.raises(TextTooLongError, match=r"text 1 .* 8193 .* 8192"):
        pack([8_192, 8_193], BGE_M3_LIMITS)


def test_limits_that_exclude_a_single_text_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot hold one text"):
        PackingLimits(max_texts=10, max_text_tokens=100, max_padded_tokens=99)
    with pytest.raises(ValueError, match="cannot hold one text"):
        PackingLimits(max_texts=0, max_text_tokens=100)


def test_a_batch_splits_into_halves_in_order() -> None:
    assert split((4, 1, 3)) == ((4,), (1, 3))


def test_a_single_text_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="fewer than two"):
        split((0,))
