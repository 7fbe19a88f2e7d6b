"""What one provider call consumed, as measured or as charged."""

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one call.

    Attributes:
        input_tokens: Prompt tokens, ≥ 0.
        output_tokens: Completion tokens, reasoning included, ≥ 0.
        neurons: Cloudflare's billed unit as the provider reported it; None when it did not.
        cached_tokens: Input tokens that the provider read from its prompt cache.
        cache_write_tokens: Input tokens that the provider wrote into its prompt cache.
        service_tier: How the call was served, in the provider's word; None for its usual way.
        is_assumed: Whether nobody knows what was consumed: the answer was lost on its way.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    neurons: Decimal | None = None
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    service_tier: str | None = None
    is_assumed: bool = False

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing was consumed, hence nothing is billed."""
        return not self.input_tokens and not self.output_tokens


NO_USAGE = TokenUsage()
