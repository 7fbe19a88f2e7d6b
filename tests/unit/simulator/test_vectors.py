import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.vectors import embed


@given(st.text(), st.sampled_from([1, 384, 1024, 3072]))
def test_a_vector_has_unit_length(text: str, dimensions: int) -> None:
    vector = embed(text, dimensions)
    assert vector.shape == (dimensions,)
    assert float(vector @ vector) == pytest.approx(1, abs=1e-4)


def test_the_same_text_has_the_same_vector() -> None:
    assert np.array_equal(embed("queue of jobs", 1024), embed("queue of jobs", 1024))


def test_texts_that_share_words_are_nearer() -> None:
    query = embed("how do queues pause", 1024)
    near = float(query @ embed("a queue can pause when money is short", 1024))
    far = float(query @ embed("boundary layers in supersonic flow", 1024))
    assert near > 0.4
    assert far < 0.2
