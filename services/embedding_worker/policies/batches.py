"""A job's texts as provider calls, and the most that a call can cost."""

from collections.abc import Sequence
from decimal import Decimal

from shared.domain.batching import PackingLimits, pack, split
from shared.domain.collections import PendingText
from shared.domain.pricing import PriceRow, worst_case_usd
from shared.domain.tokens import token_upper_bound

Batch = tuple[PendingText, ...]


def batches_of(texts: Sequence[PendingText], limits: PackingLimits) -> Sequence[Batch]:
    """Return the texts as batches of one call each, shortest texts first.

    Token counts are estimates above the truth: whether a text is too long, the provider decides.
    """
    packed = pack([min(text.tokens, limits.max_text_tokens) for text in texts], limits)
    return [tuple(texts[index] for index in batch) for batch in packed]


def halves_of(batch: Batch) -> Sequence[Batch]:
    """Return a batch of at least two texts as two."""
    return [tuple(batch[index] for index in half) for half in split(range(len(batch)))]


def hold_usd(batch: Batch, limits: PackingLimits, price: PriceRow, prefix: str = "") -> Decimal:
    """Return the most that embedding the batch can cost, with a prefix before each text.

    A model that pads each text to the longest may bill the padding (Cloudflare doesn't say whether
    it does; 2026-08).
    """
    bounds = [token_upper_bound(prefix + text.text) for text in batch]
    is_padded = limits.max_padded_tokens is not None
    tokens = len(bounds) * max(bounds) if is_padded else sum(bounds)
    return worst_case_usd(price, tokens, 0)
