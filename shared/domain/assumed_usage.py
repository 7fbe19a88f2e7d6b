"""What a call consumed when nobody was told: the provider's stream broke off, or its reader left.

The rule, after OpenAI's rule of thumb for English: a word costs one token per started four
characters, a chat message costs four tokens more. Unlike `shared.domain.tokens`, which plans and
therefore errs upwards, this is booked and therefore aims at the middle. Invariant: it is used only
where no usage was reported.
"""

import json
from collections.abc import Iterable, Iterator

from shared.domain.provider_calls import ChatCall, ChatMessage

_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4


def assumed_tokens(text: str) -> int:
    """Return the tokens of a text by the rule."""
    return sum(-(-len(word) // _CHARACTERS_PER_TOKEN) for word in text.split())


def assumed_prompt_tokens(messages: Iterable[ChatMessage]) -> int:
    """Return the input tokens of a chat by the rule."""
    return sum(
        sum(map(assumed_tokens, message.texts)) + _TOKENS_PER_MESSAGE for message in messages
    )


def assumed_input_tokens(call: ChatCall) -> int:
    """Return the input tokens of a chat by the rule, with what the model reads beside messages."""
    return assumed_prompt_tokens(call.messages) + sum(map(assumed_tokens, _beside_messages(call)))


def _beside_messages(call: ChatCall) -> Iterator[str]:
    for tool in call.tools:
        yield tool.name
        yield tool.description or ""
        yield json.dumps(tool.parameters or {})
    if call.response_format and call.response_format.schema:
        yield json.dumps(call.response_format.schema.schema)
