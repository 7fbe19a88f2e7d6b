"""The closed sets that name who asks, what is asked and who answers."""

from enum import StrEnum


class Tier(StrEnum):
    """What a user pays for; decides queue and route."""

    FREE = "free"
    PAID = "paid"
    PREMIUM = "premium"


class Provider(StrEnum):
    """Whose API answered."""

    CLOUDFLARE = "cloudflare"
    OPENAI = "openai"


class Operation(StrEnum):
    """What a job asks of a provider."""

    CHAT = "chat"
    EMBED = "embed"


class ServiceTier(StrEnum):
    """How a provider served a call; some bill each way at its own price.

    The names are those of OpenAI's `service_tier`; `fast` is also called `priority` there, and
    `batch` is its Batch API.
    """

    DEFAULT = "default"
    FLEX = "flex"
    FAST = "fast"
    BATCH = "batch"
