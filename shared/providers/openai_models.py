"""What differs between OpenAI's models in what a request may hold.

Invariant: the one place that knows a model by its name.
"""

import re

_REASONING = re.compile(r"gpt-[5-9]|o\d")
_SIZED_EMBEDDING = re.compile(r"text-embedding-3-")


def takes_temperature(model: str) -> bool:
    """Tell whether a chat model takes a temperature: reasoning models refuse one."""
    return not _REASONING.match(model)


def takes_dimensions(model: str) -> bool:
    """Tell whether an embedding model shortens its vectors on request."""
    return bool(_SIZED_EMBEDDING.match(model))
