"""How the simulator counts tokens.

The rule: a word (what stands between white space) costs one token per started four characters; a
chat message costs four tokens more. Invariant: `count_tokens(text) == len(split_tokens(text))`, and
the pieces joined are the text, up to white space at its end.
"""

import re
from collections.abc import Iterable

_PIECE = re.compile(r"\s*\S{1,4}")
_CHARACTERS_PER_TOKEN = 4
_TOKENS_PER_MESSAGE = 4


def count_tokens(text: str) -> int:
    """Return the number of tokens of a text."""
    return sum(map(word_tokens, text.split()))


def word_tokens(word: str) -> int:
    """Return the number of tokens of a single word."""
    return (len(word) + _CHARACTERS_PER_TOKEN - 1) // _CHARACTERS_PER_TOKEN


def split_tokens(text: str) -> list[str]:
    """Return the pieces a stream sends, one per token."""
    return _PIECE.findall(text)


def count_message_tokens(contents: Iterable[str]) -> int:
    """Return the tokens of a chat request with these message contents."""
    return sum(count_tokens(content) + _TOKENS_PER_MESSAGE for content in contents)
