import pytest

from shared.domain.assumed_usage import assumed_input_tokens, assumed_prompt_tokens, assumed_tokens
from shared.domain.ids import AttemptId
from shared.domain.provider_calls import (
    AnswerSchema,
    ChatCall,
    ChatMessage,
    JsonAnswer,
    Tool,
    ToolCall,
)


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), (" ", 0), ("abcd", 1), ("abcde", 2), ("two words, here", 4)]
)
def test_a_word_costs_a_token_per_four_characters(text: str, tokens: int) -> None:
    assert assumed_tokens(text) == tokens


def test_a_message_costs_four_tokens_more() -> None:
    messages = [ChatMessage("system", "abcd"), ChatMessage("user", "")]

    assert assumed_prompt_tokens(messages) == 9


def test_parts_and_calls_of_a_message_cost_as_text() -> None:
    message = ChatMessage("assistant", ("abcd", "abcde"), (ToolCall("call_1", "abcd", "{}"),))

    assert assumed_prompt_tokens([message]) == 1 + 2 + 1 + 1 + 4


@pytest.mark.parametrize(
    ("tools", "wanted", "tokens"),
    [
        ([], None, 5),
        ([Tool("abcd")], None, 5 + 1 + 1),
        ([Tool("abcd", "two words", {"a": 1})], None, 5 + 1 + 3 + 3),
        ([], JsonAnswer(), 5),
        ([], JsonAnswer(AnswerSchema("name", {"a": 1})), 5 + 3),
    ],
)
def test_tools_and_schemas_cost_as_json(
    tools: list[Tool], wanted: JsonAnswer | None, tokens: int
) -> None:
    call = ChatCall(
        AttemptId("a"),
        "m",
        [ChatMessage("user", "abcd")],
        64,
        tools=tools,
        response_format=wanted,
    )

    assert assumed_input_tokens(call) == tokens
