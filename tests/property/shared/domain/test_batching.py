from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.batching import (
    BGE_M3_LIMITS,
    OPENAI_EMBEDDING_LIMITS,
    PackingLimits,
    pack,
    split,
)

LIMITS = st.sampled_from(
    [
        BGE_M3_LIMITS,
        OPENAI_EMBEDDING_LIMITS,
        PackingLimits(max_texts=3, max_text_tokens=8_191),
        PackingLimits(
            max_texts=7, max_text_tokens=8_191, max_padded_tokens=9_000, max_total_tokens=8_500
        ),
    ]
)
COUNTS = st.lists(st.integers(min_value=0, max_value=8_191), max_size=300)


@given(COUNTS, LIMITS)
def test_every_text_is_packed_once_and_every_batch_keeps_the_limits(
    counts: list[int], limits: PackingLimits
) -> None:
    batches = pack(counts, limits)

    assert Counter(index for batch in batches for index in batch) == Counter(range(len(counts)))
    for batch in batches:
        sizes = [counts[index] for index in batch]
        assert limits.admit(len(sizes), max(sizes), sum(sizes))


@given(COUNTS)
def test_a_bge_m3_call_never_exceeds_its_padded_budget(counts: list[int]) -> None:
    for batch in pack(counts, BGE_M3_LIMITS):
        assert len(batch) <= 100
        assert len(batch) * max(counts[index] for index in batch) <= 60_000


@given(st.lists(st.integers(), min_size=2))
def test_halves_join_to_the_whole_and_neither_is_empty(batch: list[int]) -> None:
    first, second = split(batch)

    assert [*first, *second] == batch
    assert min(len(first), len(second)) >= 1
    assert len(second) - len(first) in {0, 1}


@given(st.lists(st.integers(), max_size=1))
def test_what_cannot_shrink_is_not_split(batch: list[int]) -> None:
    with pytest.raises(ValueError, match="cannot be split"):
        split(batch)
