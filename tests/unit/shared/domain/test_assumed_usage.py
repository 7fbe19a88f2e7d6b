import pytest

from shared.domain.assumed_usage import assumed_prompt_tokens, assumed_tokens
from shared.domain.provider_calls import ChatMessage


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), (" ", 0), ("abcd", 1), ("abcde", 2), ("two words, here", 4)]
)
def test_a_word_costs_a_token_per_four_characters(text: str, tokens: int) -> None:
    assert assumed_tokens(text) == tokens


def test_a_message_costs_four_tokens_more() -> None:
    messages = [ChatMessage("system", "abcd"), ChatMessage("user", "")]

    assert assumed_prompt_tokens(messages) == 9
