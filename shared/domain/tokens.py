"""How many tokens a text has, before any provider has counted them.

Two numbers for two purposes: an estimate to pack batches by, and a bound to hold money by.
Invariant: the bound is never below what a provider counts.
"""

import unicodedata
from collections.abc import Iterable

_BYTES_PER_TOKEN = 3
"""English has 4 to 5 bytes a token, Chinese 3, digits and code about 3."""
_SPECIAL_TOKENS = 8
"""Begin, end and the prefix space that a tokenizer puts around a text."""
_MESSAGE_TOKENS = 16
"""Role, headers and separators that a chat template puts around a message."""
_TEMPLATE_TOKENS = 128
"""What a chat template adds once, such as Llama 3.1's dated system preamble."""
_TOOL_TEMPLATE_TOKENS = 512
"""What a chat template adds to say how tools are called: a page of instructions at most."""


def estimated_tokens(text: str) -> int:
    """Return about how many tokens `text` has, at least 1: a third of its UTF-8 bytes.

    It lies above the truth for ordinary prose in any script. Long runs of digits or symbols can
    have more tokens; a batch packed too full by that is refused by the provider and split.
    """
    return max(1, -(-_utf8_bytes(text) // _BYTES_PER_TOKEN))


def token_upper_bound(text: str) -> int:
    """Return a count that no supported tokenizer exceeds for `text`.

    A tokenizer that reads bytes (BPE of GPT, Llama 3 and Qwen, or the byte fallback of Gemma and
    Llama 2) never makes more tokens than there are bytes, one that reads characters (WordPiece of
    BERT, the unigrams of bge-m3) never more than there are characters. Both may normalise first,
    which can lengthen a text: Qwen by NFC, bge-m3 by NFKC, BERT by lower case and NFD. So the
    bytes of the composed forms count, and the characters of the longest decomposed one.
    """
    if text.isascii():
        return len(text) + _SPECIAL_TOKENS
    forms = (text, unicodedata.normalize("NFC", text), unicodedata.normalize("NFKC", text))
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return max(len(decomposed), *map(_utf8_bytes, forms)) + _SPECIAL_TOKENS


def chat_upper_bound(contents: Iterable[str], *, has_tools: bool = False) -> int:
    """Return a bound on the prompt tokens of a chat.

    Args:
        contents: Every text the prompt holds, in any order: each message's content and, as JSON,
            tools and schemas.
        has_tools: Whether the model is told how to call tools.
    """
    template = _TEMPLATE_TOKENS + (_TOOL_TEMPLATE_TOKENS if has_tools else 0)
    return template + sum(token_upper_bound(text) + _MESSAGE_TOKENS for text in contents)


def _utf8_bytes(text: str) -> int:
    # JSON can smuggle in a lone surrogate, which plain UTF-8 refuses to encode.
    return len(text.encode("utf-8", "surrogatepass"))
