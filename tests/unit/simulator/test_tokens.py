from hypothesis import given
from hypothesis import strategies as st

from simulator.tokens import count_message_tokens, count_tokens, split_tokens


def test_a_word_costs_one_token_per_started_four_characters() -> None:
    assert count_tokens("one three twelve-chars") == 1 + 2 + 3


def test_a_message_costs_four_tokens_more() -> None:
    assert count_message_tokens(["one", ""]) == 1 + 4 + 4


@given(st.text())
def test_the_pieces_of_a_text_are_counted_and_joined_without_loss(text: str) -> None:
    pieces = split_tokens(text)
    assert len(pieces) == count_tokens(text)
    assert "".join(pieces) == text.rstrip() or not text.strip()
