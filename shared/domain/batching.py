"""How texts are packed into embedding calls within a provider's limits.

Invariant: every text is in exactly one batch, and no batch exceeds any limit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.errors import TextTooLongError


@dataclass(frozen=True, slots=True, kw_only=True)
class PackingLimits:
    """What one embedding call may hold.

    Attributes:
        max_texts: How many texts.
        max_text_tokens: How many tokens one text may have.
        max_padded_tokens: Limit of texts times the longest, in tokens; None for no such limit.
        max_total_tokens: Limit of the sum of all texts, in tokens; None for no such limit.

    Raises:
        ValueError: A single text of the greatest length would not fit into a call.
    """

    max_texts: int
    max_text_tokens: int
    max_padded_tokens: int | None = None
    max_total_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.max_texts < 1 or not self.admit(1, self.max_text_tokens, self.max_text_tokens):
            raise ValueError(f"a call within {self} cannot hold one text of the greatest length")

    def admit(self, texts: int, longest_tokens: int, total_tokens: int) -> bool:
        """Tell whether a call of this size stays within every limit."""
        if texts > self.max_texts:
            return False
        if self.max_padded_tokens is not None and texts * longest_tokens > self.max_padded_tokens:
            return False
        return self.max_total_tokens is None or total_tokens <= self.max_total_tokens


BGE_M3_LIMITS = PackingLimits(max_texts=100, max_text_tokens=8_192, max_padded_tokens=60_000)
"""Cloudflare's schema and model page; the padded limit is error 3030 as seen in 2026-08."""
OPENAI_EMBEDDING_LIMITS = PackingLimits(
    max_texts=2_048, max_text_tokens=8_191, max_total_tokens=300_000
)
"""OpenAI's specification, 2026-08-21; 8,192 a text there, 8,191 elsewhere: the lower is safe."""


def pack(token_counts: Sequence[int], limits: PackingLimits) -> tuple[tuple[int, ...], ...]:
    """Group texts into as few calls as sorting by length allows.

    Similar lengths go together, because a batch is paid for, or limited, by its longest text.

    Args:
        token_counts: Tokens of each text, ≥ 0.
        limits: What one call may hold.

    Returns:
        Batches of indices into `token_counts`, shortest texts first; none is empty.

    Raises:
        TextTooLongError: A text exceeds `limits.max_text_tokens`; the message names its index.
    """
    _require_fitting(token_counts, limits)
    batches: list[tuple[int, ...]] = []
    batch: list[int] = []
    total_tokens = 0
    for index in sorted(range(len(token_counts)), key=token_counts.__getitem__):
        tokens = token_counts[index]
        if batch and not limits.admit(len(batch) + 1, tokens, total_tokens + tokens):
            batches.append(tuple(batch))
            batch, total_tokens = [], 0
        batch.append(index)
        total_tokens += tokens
    if batch:
        batches.append(tuple(batch))
    return tuple(batches)


def split(batch: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Halve a batch that the provider found too large, keeping its order.

    Raises:
        ValueError: The batch has fewer than two texts; splitting it again would never end.
    """
    if len(batch) < 2:  # noqa: PLR2004 — two halves need two texts
        raise ValueError("a batch of fewer than two texts cannot be split")
    middle = len(batch) // 2
    return tuple(batch[:middle]), tuple(batch[middle:])


def _require_fitting(token_counts: Sequence[int], limits: PackingLimits) -> None:
    for index, tokens in enumerate(token_counts):
        if tokens > limits.max_text_tokens:
            raise TextTooLongError(
                f"text {index} has about {tokens} tokens, the model takes "
                f"{limits.max_text_tokens}; cut it into chunks"
            )
